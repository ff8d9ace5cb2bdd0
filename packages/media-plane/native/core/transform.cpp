// Sealing and opening; see transform.hpp.
#include "transform.hpp"

#include <openssl/crypto.h>

#include <cstring>

#include "packet.hpp"

namespace sallyport {
namespace {

using Way = Ciphers::Way;
constexpr size_t galoisTagLength = 16;

/** XORs SSRC and 48-bit index, `high` over `low`, into ten octets. */
void mix(uint8_t* at, uint32_t ssrc, uint32_t high, uint16_t low) noexcept {
  write32(at, read32(at) ^ ssrc);
  write32(at + 4, read32(at + 4) ^ high);
  write16(at + 8, static_cast<uint16_t>(read16(at + 8) ^ low));
}

// RFC 3711 4.1.1: IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16).
bool counterMode(Ciphers& ciphers, Way way, Suite const& suite, SessionHalf const& half, uint32_t ssrc, uint32_t high,
                 uint16_t low, uint8_t* octets, size_t length) noexcept {
  uint8_t iv[16];
  std::memcpy(iv, half.salt, 14);
  iv[14] = iv[15] = 0;
  mix(iv + 4, ssrc, high, low);
  return ciphers.counterMode(way, half, suite.keyLength, iv, octets, length);
}

// RFC 7714 8.1 and 9.1: two zero octets || SSRC || 48-bit index, XORed with the salt.
struct Nonce {
  uint8_t octets[12];
  Nonce(SessionHalf const& half, uint32_t ssrc, uint32_t high, uint16_t low) noexcept {
    std::memcpy(octets, half.salt, 12);
    mix(octets + 2, ssrc, high, low);
  }
};

// RFC 3711 4.2: the authenticated portion || ROC. The ROC stands for a moment where MKI and tag are: together they are
// never shorter than its four octets.
void rtpTag(Ciphers& ciphers, SessionHalf const& half, uint8_t* packet, size_t end, uint32_t rollover,
            uint8_t tag[20]) noexcept {
  uint8_t kept[4];
  std::memcpy(kept, packet + end, 4);
  write32(packet + end, rollover);
  ciphers.authenticate(half, packet, end + 4, tag);
  std::memcpy(packet + end, kept, 4);
}

}  // namespace

bool sealRtp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length, size_t header,
             uint32_t rollover) noexcept {
  SessionHalf const& half = key.slot->srtp;
  uint32_t const ssrc = read32(packet + 8);
  uint16_t const sequence = read16(packet + 2);
  uint8_t* const end = packet + length;
  if (suite.aead) {
    Nonce const nonce(half, ssrc, rollover, sequence);
    // RFC 7714 8.2: the tag follows the ciphertext, the MKI comes last.
    std::memcpy(end + galoisTagLength, key.mki, key.mkiLength);
    return ciphers.galoisSeal(half, suite.keyLength, nonce.octets, {packet, header}, {nullptr, 0}, packet + header,
                              length - header, end);
  }
  if (!counterMode(ciphers, Way::seal, suite, half, ssrc, rollover, sequence, packet + header, length - header)) {
    return false;
  }
  uint8_t tag[20];
  write32(end, rollover);
  ciphers.authenticate(half, packet, length + 4, tag);
  std::memcpy(end, key.mki, key.mkiLength);
  std::memcpy(end + key.mkiLength, tag, suite.srtpTag);
  return true;
}

bool openRtp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length, size_t header,
             uint32_t rollover) noexcept {
  SessionHalf const& half = key.slot->srtp;
  uint32_t const ssrc = read32(packet + 8);
  uint16_t const sequence = read16(packet + 2);
  size_t const end = length - rtpTrailer(suite, key);
  if (suite.aead) {
    Nonce const nonce(half, ssrc, rollover, sequence);
    return ciphers.galoisOpen(half, suite.keyLength, nonce.octets, {packet, header}, {nullptr, 0}, packet + header,
                              end - header, packet + end);
  }
  uint8_t tag[20];
  rtpTag(ciphers, half, packet, end, rollover, tag);
  if (CRYPTO_memcmp(tag, packet + length - suite.srtpTag, suite.srtpTag) != 0) return false;
  return counterMode(ciphers, Way::open, suite, half, ssrc, rollover, sequence, packet + header, end - header);
}

bool sealRtcp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length,
              uint32_t word) noexcept {
  SessionHalf const& half = key.slot->srtcp;
  uint32_t const ssrc = read32(packet + 4);
  uint32_t const index = word & ~encryptedFlag;
  auto const low = static_cast<uint16_t>(index);
  bool const encrypted = word >= encryptedFlag;
  uint8_t* const end = packet + length;
  if (suite.aead) {
    Nonce const nonce(half, ssrc, index >> 16, low);
    // RFC 7714 9.2 and 9.3: the SRTCP word is authenticated after the header, or after the whole packet when E is 0.
    uint8_t* const at = end + galoisTagLength;
    write32(at, word);
    std::memcpy(at + 4, key.mki, key.mkiLength);
    size_t const clear = encrypted ? rtcpClearLength : length;
    return ciphers.galoisSeal(half, suite.keyLength, nonce.octets, {packet, clear}, {at, 4}, packet + clear,
                              length - clear, end);
  }
  if (encrypted && !counterMode(ciphers, Way::seal, suite, half, ssrc, index >> 16, low, packet + rtcpClearLength,
                                length - rtcpClearLength)) {
    return false;
  }
  // RFC 3711 3.4: the E bit and the index are authenticated, the MKI is not.
  uint8_t tag[20];
  write32(end, word);
  ciphers.authenticate(half, packet, length + 4, tag);
  std::memcpy(end + 4, key.mki, key.mkiLength);
  std::memcpy(end + 4 + key.mkiLength, tag, suite.srtcpTag);
  return true;
}

bool openRtcp(Ciphers& ciphers, Suite const& suite, SessionKey const& key, uint8_t* packet, size_t length,
              uint32_t word) noexcept {
  SessionHalf const& half = key.slot->srtcp;
  uint32_t const ssrc = read32(packet + 4);
  uint32_t const index = word & ~encryptedFlag;
  auto const low = static_cast<uint16_t>(index);
  bool const encrypted = word >= encryptedFlag;
  size_t const end = length - rtcpTrailer(suite, key);
  if (suite.aead) {
    Nonce const nonce(half, ssrc, index >> 16, low);
    size_t const clear = encrypted ? rtcpClearLength : end;
    return ciphers.galoisOpen(half, suite.keyLength, nonce.octets, {packet, clear}, {packet + end + galoisTagLength, 4},
                              packet + clear, end - clear, packet + end);
  }
  uint8_t tag[20];
  ciphers.authenticate(half, packet, end + 4, tag);
  if (CRYPTO_memcmp(tag, packet + length - suite.srtcpTag, suite.srtcpTag) != 0) return false;
  return !encrypted || counterMode(ciphers, Way::open, suite, half, ssrc, index >> 16, low, packet + rtcpClearLength,
                                   end - rtcpClearLength);
}

}  // namespace sallyport
