// Key derivation; see session-key.hpp.
#include "session-key.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "cipher.hpp"

namespace sallyport {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

EVP_CIPHER const* derivationCipher(unsigned keyLength) {
  return keyLength == 16 ? EVP_aes_128_ctr() : keyLength == 24 ? EVP_aes_192_ctr() : EVP_aes_256_ctr();
}

// RFC 3711 4.3.3: the key stream of AES-CM over x * 2^16, where x = key_id XOR master salt.
bool keyStream(EVP_CIPHER_CTX* context, Suite const& suite, uint8_t const* master, uint8_t label, uint8_t* out,
               unsigned length) {
  uint8_t block[16] = {};
  // RFC 7714 11: a 96-bit salt enters the 112-bit PRF input left-aligned, zeros appended.
  std::memcpy(block, master + suite.keyLength, suite.saltLength);
  // key_id = label || (index DIV kdr = 0, 48 bits), right-aligned in 112 bits: the label meets octet 7.
  block[7] ^= label;
  std::memset(out, 0, length);
  int written = 0;
  bool const done = EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, block) == 1 &&
                    EVP_EncryptUpdate(context, out, &written, out, static_cast<int>(length)) == 1;
  OPENSSL_cleanse(block, sizeof block);
  return done;
}

}  // namespace

bool deriveKeys(Suite const& suite, uint8_t const* master, unsigned protocol, DerivedKeys& keys) {
  std::unique_ptr<EVP_CIPHER_CTX, FreeContext> const context(EVP_CIPHER_CTX_new());
  if (!context) return false;
  if (EVP_EncryptInit_ex(context.get(), derivationCipher(suite.keyLength), nullptr, master, nullptr) != 1) return false;
  // RFC 3711 4.3.1 and 4.3.2: labels 0, 1, 2 for SRTP and 3, 4, 5 for SRTCP.
  auto const label = static_cast<uint8_t>(3 * protocol);
  std::memset(&keys, 0, sizeof keys);
  return keyStream(context.get(), suite, master, label, keys.encryption, suite.keyLength) &&
         (suite.aead || keyStream(context.get(), suite, master, label + 1, keys.authentication, 20)) &&
         keyStream(context.get(), suite, master, label + 2, keys.salt, suite.saltLength);
}

SessionKey::~SessionKey() {
  if (slot != nullptr) pool->give(slot);
}

bool SessionKey::derive(Suite const& suite, KeyPlan const& plan, KeyPool& from) {
  slot = from.take();
  if (slot == nullptr) return false;
  pool = &from;
  uint64_t const lifetime = plan.lifetime == 0 ? srtpLifetime : plan.lifetime;
  srtpLimit = std::min(lifetime, srtpLifetime);
  srtcpLimit = std::min(lifetime, srtcpLifetime);
  mkiLength = static_cast<uint8_t>(plan.mkiLength);
  std::memcpy(mki, plan.mki, mkiLength);
  bool done = true;
  for (unsigned protocol = 0; protocol < 2; protocol++) {
    DerivedKeys keys;
    done = deriveKeys(suite, plan.master, protocol, keys) && done;
    Ciphers::fill(protocol == 0 ? slot->srtp : slot->srtcp, keys.encryption, suite.keyLength,
                  suite.aead ? nullptr : keys.authentication, keys.salt, suite.saltLength);
    OPENSSL_cleanse(&keys, sizeof keys);
  }
  return done;
}

}  // namespace sallyport
