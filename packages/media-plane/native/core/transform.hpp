// Owns the two ways a packet is sealed and opened, in place: AES counter mode with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1; RFC
// 6188 2) and AES-GCM (RFC 7714 8 to 10). Knows neither replay nor which SSRC is allowed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cipher.hpp"
#include "session-key.hpp"

namespace sallyport {

/** The E bit in front of the 31-bit SRTCP index (RFC 3711 3.4). */
inline constexpr uint32_t encryptedFlag = 0x80000000;
/** Octets of the fixed part of an RTCP packet that stays in clear (RFC 3711 3.4). */
inline constexpr size_t rtcpClearLength = 8;

/** Octets that sealing adds. */
inline size_t rtpTrailer(Suite const& suite, SessionKey const& key) noexcept { return suite.srtpTag + key.mkiLength; }
inline size_t rtcpTrailer(Suite const& suite, SessionKey const& key) noexcept {
  return 4u + suite.srtcpTag + key.mkiLength;
}

/**
 * Seals a whole RTP packet whose payload starts at `header`, under the index whose low 16 bits stand in it; there is room
 * for the trailer behind it. False only when OpenSSL fails: the packet is spoilt then.
 */
bool sealRtp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length, size_t header,
             uint32_t rollover) noexcept;
/** Opens a packet that is long enough. False when the tag does not verify: the packet is as it was. */
bool openRtp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length, size_t header,
             uint32_t rollover) noexcept;
/** `word` is the E bit and the index as they go on the wire. */
bool sealRtcp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length,
              uint32_t word) noexcept;
bool openRtcp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length,
              uint32_t word) noexcept;

}  // namespace sallyport
