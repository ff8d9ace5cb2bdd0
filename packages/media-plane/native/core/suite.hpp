// Owns the table of crypto suites: lengths, tags, lifetimes. Knows no packet and no key.
// RFC 4568 6.2, RFC 6188 and RFC 7714, the same as packages/srtp/src/suites.ts.
#pragma once
#include <cstdint>

namespace sallyport {

/** In the order of `suites` in packages/srtp/src/suites.ts. */
enum class SuiteId : uint8_t {
  aesCm128Sha1_80 = 0,
  aesCm128Sha1_32 = 1,
  aesCm192Sha1_80 = 2,
  aesCm192Sha1_32 = 3,
  aesCm256Sha1_80 = 4,
  aesCm256Sha1_32 = 5,
  aeadAes128Gcm = 6,
  aeadAes256Gcm = 7,
};
inline constexpr unsigned suiteCount = 8;
inline constexpr unsigned maxMasterLength = 46;

/** Lengths in octets. */
struct Suite {
  char const* name;
  uint8_t keyLength;
  uint8_t saltLength;
  uint8_t srtpTag;
  uint8_t srtcpTag;
  bool aead;

  constexpr unsigned masterLength() const noexcept { return keyLength + saltLength; }
};

// RFC 3711 9.2 and RFC 7714 11: the master key is spent after 2^48 SRTP or 2^31 SRTCP packets.
inline constexpr uint64_t srtpLifetime = uint64_t{1} << 48;
inline constexpr uint64_t srtcpLifetime = uint64_t{1} << 31;

// RFC 4568 6.2.2, RFC 6188 4: the short tag is for SRTP only. RFC 7714 12: a 96-bit salt and a 16-octet tag on both.
inline constexpr Suite suites[suiteCount] = {
    {"AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, false}, {"AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, false},
    {"AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10, false}, {"AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10, false},
    {"AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10, false}, {"AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10, false},
    {"AEAD_AES_128_GCM", 16, 12, 16, 16, true},         {"AEAD_AES_256_GCM", 32, 12, 16, 16, true},
};

constexpr Suite const& suiteOf(SuiteId id) noexcept { return suites[static_cast<unsigned>(id)]; }

}  // namespace sallyport
