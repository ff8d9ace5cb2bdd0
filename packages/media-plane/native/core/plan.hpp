// Owns what a leg is told to do: the native form of LegPlan and LegChange (plane.ts). Text has become octets; remote,
// filter and policing values were checked by who made the change (SALLY_PLANE_REMOTE, SALLY_PLANE_RULE).
#pragma once
#include <cstdint>
#include <vector>

#include "address.hpp"
#include "suite.hpp"

namespace sallyport {

enum class Mode : uint8_t { inactive = 0, sendOnly = 1, receiveOnly = 2, sendReceive = 3 };
enum class Protection : uint8_t { clear = 0, srtp = 1, awaitingKeys = 2, transparent = 3 };
enum class LatchRule : uint8_t { off = 0, latch = 1, relatch = 2 };

inline constexpr unsigned maxMki = 128;
inline constexpr unsigned maxReceiveKeys = 16;

/** A master key as it was given; whoever fills it zeroises it. Any value of `masterLength` and `mkiLength` may be tried. */
struct KeyPlan {
  uint8_t master[maxMasterLength] = {};
  uint16_t masterLength = 0;
  uint16_t mkiLength = 0;
  uint8_t mki[maxMki] = {};
  /** Packets; 0 where it was left out. */
  uint64_t lifetime = 0;
};

struct ProtectionPlan {
  Protection kind = Protection::clear;
  /** For `srtp` only, like the keys. */
  SuiteId suite = SuiteId::aesCm128Sha1_80;
  std::vector<KeyPlan> receive;
  KeyPlan send;
};

/** Family 0: none. A port of 0: nothing is sent there. */
struct Remote {
  Address rtp;
  Address rtcp;
};

struct PortSpan {
  uint16_t first = 0;
  uint16_t last = 65535;
};

/** H.248.43 `gm`. */
struct SourceFilter {
  bool hasAddress = false;
  bool hasPorts = false;
  bool hasRtcpPorts = false;
  uint8_t prefix = 0;
  Address address;
  PortSpan ports;
  /** Where it is left out `ports` counts for RTCP too. */
  PortSpan rtcpPorts;
};

/** H.248.53 `tman`; a rate of 0 means that bucket is not there. */
struct Policing {
  double sustainedOctetsPerS = 0;
  double sustainedBurst = 0;
  double peakOctetsPerS = 0;
  double peakToleranceMs = 0;
};

inline bool operator==(Policing const& a, Policing const& b) noexcept {
  return a.sustainedOctetsPerS == b.sustainedOctetsPerS && a.sustainedBurst == b.sustainedBurst &&
         a.peakOctetsPerS == b.peakOctetsPerS && a.peakToleranceMs == b.peakToleranceMs;
}

/** Which values of a change count; `all` opens a leg. */
enum Field : uint32_t {
  fieldMode = 1,
  fieldRtcp = 2,
  fieldProtection = 4,
  fieldRemote = 8,
  fieldLatch = 16,
  fieldInactivity = 32,
  fieldFilter = 64,
  fieldPolicing = 128,
  fieldDscp = 256,
  allFields = 511,
};

/** All of a change but protection. */
struct LegValues {
  uint32_t fields = 0;
  Mode mode = Mode::inactive;
  bool rtcpMux = false;
  LatchRule latch = LatchRule::off;
  /** 0 to 63. */
  uint8_t dscp = 0;
  /** 0: not watched. */
  uint64_t inactivityNs = 0;
  Remote remote;
  bool filtered = false;
  bool policed = false;
  SourceFilter filter;
  Policing policing;
};

struct LegChange : LegValues {
  ProtectionPlan protection;
};

}  // namespace sallyport
