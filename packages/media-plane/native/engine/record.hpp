// Owns the form in which JavaScript hands over a change: fixed places in one block of memory, written by src/native/record.ts.
// Whatever stands there is decoded without harm; lengths and numbers that are too great are kept as such and refused by the core.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../core/plan.hpp"

namespace sallyport {

/** Places in octets; numbers are in the machine's order. */
namespace record {
inline constexpr size_t fields = 0, mode = 4, mux = 5, latch = 6, dscp = 7, inactivityMs = 8;
inline constexpr size_t local = 16, localPort = 80;
inline constexpr size_t remote = 88, remoteRtpPort = 152, remoteRtcpPort = 154;
inline constexpr size_t filter = 160, filterPorts = 224, filtered = 232, hasAddress = 233, hasPorts = 234,
                        hasRtcpPorts = 235, prefix = 236, policed = 237;
inline constexpr size_t sustained = 240, sustainedBurst = 248, peak = 256, peakTolerance = 264;
inline constexpr size_t protection = 272, suite = 273, receiveKeys = 274;
/** The send key, then the receive keys. */
inline constexpr size_t keys = 280, keySize = 192;
inline constexpr size_t keyMasterLength = 0, keyMkiLength = 2, keyLifetime = 8, keyMaster = 16, keyMki = 64;
inline constexpr size_t textSize = 64;
/** Where RTCP is, when not where RTP is; empty for the same. */
inline constexpr size_t remoteRtcp = keys + (1 + maxReceiveKeys) * keySize;
inline constexpr size_t size = remoteRtcp + textSize;
}  // namespace record

/** A change as it was read; its keys are zeroised when it goes. */
struct ReadChange : LegChange {
  ReadChange() = default;
  ReadChange(ReadChange const&) = delete;
  ReadChange& operator=(ReadChange const&) = delete;
  ~ReadChange();
};

/** False: the text is no address. An empty text gives family 0. */
bool readAddress(uint8_t const* text, Address& address);
/** False: an address in it is none. The keys in `octets` are zeroised. */
bool readChange(uint8_t* octets, ReadChange& change);

}  // namespace sallyport
