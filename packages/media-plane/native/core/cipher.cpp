// OpenSSL, one set of contexts for a thread; see cipher.hpp.

// The low-level SHA-1 is deprecated in favour of EVP_MAC, which copies contexts on the heap for each packet; libcrypto keeps it.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cipher.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#include <atomic>
#include <cstring>
#include <new>

namespace sallyport {
namespace {

std::atomic<uint64_t> serials{0};

static_assert(sizeof(SHA_CTX) <= sizeof(KeySlot), "hash states fit a slot");

constexpr unsigned hashBlockLength = 64;
constexpr uint8_t zeroKey[32] = {};

EVP_CIPHER const* counterCipher(unsigned at) {
  return at == 0 ? EVP_aes_128_ctr() : at == 1 ? EVP_aes_192_ctr() : EVP_aes_256_ctr();
}
EVP_CIPHER const* galoisCipher(unsigned at) { return at == 0 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(); }

/** The hash as it is after one block: RFC 2104's padded key. */
void enter(SHA_CTX& sha, uint32_t const state[5]) noexcept {
  sha.h0 = state[0];
  sha.h1 = state[1];
  sha.h2 = state[2];
  sha.h3 = state[3];
  sha.h4 = state[4];
  sha.Nl = hashBlockLength * 8;
  sha.Nh = 0;
  sha.num = 0;
}

void padded(SHA_CTX& sha, uint8_t const key[20], uint8_t pad, uint32_t state[5]) noexcept {
  uint8_t block[hashBlockLength];
  std::memset(block, pad, sizeof block);
  for (unsigned at = 0; at < 20; at++) block[at] ^= key[at];
  SHA1_Init(&sha);
  SHA1_Update(&sha, block, sizeof block);
  state[0] = sha.h0;
  state[1] = sha.h1;
  state[2] = sha.h2;
  state[3] = sha.h3;
  state[4] = sha.h4;
  OPENSSL_cleanse(block, sizeof block);
}

}  // namespace

Ciphers::Ciphers(KeyPool& pool) noexcept : pool_(pool), scratch_(pool.take()) {
  if (scratch_ == nullptr) return;
  opened_.reset(new (std::nothrow) uint8_t[maxDatagram]);
  bool all = opened_ != nullptr;
  for (unsigned way = 0; way < 2; way++) {
    auto const make = [&](Context& context, EVP_CIPHER const* cipher) {
      context.evp = EVP_CIPHER_CTX_new();
      all = all && context.evp != nullptr &&
            EVP_CipherInit_ex(context.evp, cipher, nullptr, zeroKey, nullptr, static_cast<int>(way)) == 1;
    };
    for (unsigned at = 0; at < 3; at++) make(counter_[way][at], counterCipher(at));
    for (unsigned at = 0; at < 2; at++) make(galois_[way][at], galoisCipher(at));
  }
  ok_ = all && answers();
}

Ciphers::~Ciphers() {
  for (auto& way : counter_) {
    for (auto& context : way) EVP_CIPHER_CTX_free(context.evp);
  }
  for (auto& way : galois_) {
    for (auto& context : way) EVP_CIPHER_CTX_free(context.evp);
  }
  if (scratch_ != nullptr) pool_.give(scratch_);
}

bool Ciphers::key(Context& context, bool sealing, SessionHalf const& half, uint8_t const* iv) noexcept {
  // Setting a key is a third of the work on a packet of speech: not when the context has it.
  uint8_t const* const key = context.serial == half.serial ? nullptr : half.encryption;
  bool const done = (sealing ? EVP_EncryptInit_ex(context.evp, nullptr, nullptr, key, iv)
                             : EVP_DecryptInit_ex(context.evp, nullptr, nullptr, key, iv)) == 1;
  context.serial = done ? half.serial : 0;
  return done;
}

bool Ciphers::counterMode(Way way, SessionHalf const& half, unsigned keyLength, uint8_t const iv[16], uint8_t* octets,
                          size_t length) noexcept {
  Context& context = counter_[static_cast<unsigned>(way)][keyLength / 8 - 2];
  int written = 0;
  return key(context, way == Way::seal, half, iv) &&
         EVP_CipherUpdate(context.evp, octets, &written, octets, static_cast<int>(length)) == 1;
}

void Ciphers::authenticate(SessionHalf const& half, uint8_t const* octets, size_t length, uint8_t tag[20]) noexcept {
  SHA_CTX& sha = *reinterpret_cast<SHA_CTX*>(scratch_);
  enter(sha, half.inner);
  SHA1_Update(&sha, octets, length);
  SHA1_Final(tag, &sha);
  enter(sha, half.outer);
  SHA1_Update(&sha, tag, 20);
  SHA1_Final(tag, &sha);
}

bool Ciphers::galoisSeal(SessionHalf const& half, unsigned keyLength, uint8_t const nonce[12], Associated first,
                         Associated more, uint8_t* octets, size_t length, uint8_t* tag) noexcept {
  Context& context = galois_[1][keyLength / 16 - 1];
  int written = 0;
  uint8_t rest[16];
  return key(context, true, half, nonce) &&
         EVP_EncryptUpdate(context.evp, nullptr, &written, first.octets, static_cast<int>(first.length)) == 1 &&
         (more.length == 0 ||
          EVP_EncryptUpdate(context.evp, nullptr, &written, more.octets, static_cast<int>(more.length)) == 1) &&
         (length == 0 || EVP_EncryptUpdate(context.evp, octets, &written, octets, static_cast<int>(length)) == 1) &&
         EVP_EncryptFinal_ex(context.evp, rest, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.evp, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
}

bool Ciphers::galoisOpen(SessionHalf const& half, unsigned keyLength, uint8_t const nonce[12], Associated first,
                         Associated more, uint8_t* octets, size_t length, uint8_t const* tag) noexcept {
  if (length > maxDatagram) return false;
  Context& context = galois_[0][keyLength / 16 - 1];
  int written = 0;
  uint8_t rest[16];
  bool const fed =
      key(context, false, half, nonce) &&
      EVP_CIPHER_CTX_ctrl(context.evp, EVP_CTRL_AEAD_SET_TAG, 16, const_cast<uint8_t*>(tag)) == 1 &&
      EVP_DecryptUpdate(context.evp, nullptr, &written, first.octets, static_cast<int>(first.length)) == 1 &&
      (more.length == 0 ||
       EVP_DecryptUpdate(context.evp, nullptr, &written, more.octets, static_cast<int>(more.length)) == 1) &&
      (length == 0 ||
       EVP_DecryptUpdate(context.evp, opened_.get(), &written, octets, static_cast<int>(length)) == 1);
  bool const verified = fed && EVP_DecryptFinal_ex(context.evp, rest, &written) == 1;
  if (verified) {
    std::memcpy(octets, opened_.get(), length);
    return true;
  }
  // What did not verify is nobody's: neither the packet's plaintext nor an entry in OpenSSL's queue of errors.
  OPENSSL_cleanse(opened_.get(), length);
  ERR_clear_error();
  return false;
}

void Ciphers::forget() noexcept {
  auto const overwrite = [](Context& context) {
    if (context.serial == 0) return;
    EVP_CipherInit_ex(context.evp, nullptr, nullptr, zeroKey, nullptr, -1);
    context.serial = 0;
  };
  for (auto& way : counter_) {
    for (auto& context : way) overwrite(context);
  }
  for (auto& way : galois_) {
    for (auto& context : way) overwrite(context);
  }
  OPENSSL_cleanse(scratch_, sizeof *scratch_);
}

void Ciphers::fill(SessionHalf& half, uint8_t const* encryption, unsigned keyLength, uint8_t const* authentication,
                   uint8_t const* salt, unsigned saltLength) noexcept {
  std::memset(&half, 0, sizeof half);
  std::memcpy(half.encryption, encryption, keyLength);
  std::memcpy(half.salt, salt, saltLength);
  half.serial = serials.fetch_add(1, std::memory_order_relaxed) + 1;
  if (authentication == nullptr) return;
  SHA_CTX sha;
  padded(sha, authentication, 0x36, half.inner);
  padded(sha, authentication, 0x5c, half.outer);
  OPENSSL_cleanse(&sha, sizeof sha);
}

}  // namespace sallyport
