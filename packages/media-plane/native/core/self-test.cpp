// Known answers at start: one build runs on the libcrypto of whatever Node loads it, and relies on the layout of SHA_CTX and
// on contexts that are keyed again. Where an answer is wrong the worker is not ok, and the portable engine serves.
#include <cstring>

#include "cipher.hpp"

namespace sallyport {
namespace {

// RFC 2202 3, case 1; key and data.
constexpr uint8_t hmacKey[20] = {11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11};
constexpr uint8_t hmacData[8] = {'H', 'i', ' ', 'T', 'h', 'e', 'r', 'e'};
constexpr uint8_t hmacTag[20] = {0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
                                 0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00};
// RFC 3711 B.2.
constexpr uint8_t counterKey[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                    0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
constexpr uint8_t counterIv[16] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd};
constexpr uint8_t counterStream[16] = {0xe0, 0x3e, 0xad, 0x09, 0x35, 0xc9, 0x5e, 0x80,
                                       0xe1, 0x66, 0xb1, 0x6d, 0xd9, 0x2b, 0x4e, 0xb4};
// The GCM specification's test case 2: key, nonce and plaintext of zeros.
constexpr uint8_t galoisText[16] = {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
                                    0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78};
constexpr uint8_t galoisAnswer[16] = {0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd,
                                   0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf};

}  // namespace

bool Ciphers::answers() noexcept {
  SessionHalf half;
  uint8_t const zeros[16] = {};
  fill(half, counterKey, 16, hmacKey, zeros, 14);
  uint8_t tag[20];
  authenticate(half, hmacData, sizeof hmacData, tag);
  bool right = std::memcmp(tag, hmacTag, sizeof tag) == 0;
  // Twice: the second time the context has the key.
  for (unsigned time = 0; time < 2; time++) {
    uint8_t octets[16] = {};
    right = counterMode(Way::open, half, 16, counterIv, octets, sizeof octets) &&
            std::memcmp(octets, counterStream, sizeof octets) == 0 && right;
  }
  SessionHalf empty;
  fill(empty, zeros, 16, nullptr, zeros, 12);
  for (unsigned time = 0; time < 2; time++) {
    uint8_t octets[16] = {};
    right = galoisSeal(empty, 16, zeros, {zeros, 0}, {nullptr, 0}, octets, sizeof octets, tag) &&
            std::memcmp(octets, galoisText, sizeof octets) == 0 && std::memcmp(tag, galoisAnswer, 16) == 0 && right;
    // A tag that is wrong comes first, a right one after it.
    tag[0] ^= 1;
    right = !galoisOpen(empty, 16, zeros, {zeros, 0}, {nullptr, 0}, octets, sizeof octets, tag) && right;
    tag[0] ^= 1;
    right = galoisOpen(empty, 16, zeros, {zeros, 0}, {nullptr, 0}, octets, sizeof octets, tag) &&
            std::memcmp(octets, zeros, sizeof octets) == 0 && right;
  }
  forget();
  return right;
}

}  // namespace sallyport
