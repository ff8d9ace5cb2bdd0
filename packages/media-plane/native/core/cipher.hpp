// Owns the OpenSSL contexts of one thread: AES counter mode, AES-GCM and HMAC-SHA1, keyed for each packet from locked
// memory. Knows no packet. Not for two threads at once.
//
// Why a context per thread and not per key: an EVP_CIPHER_CTX keeps its key schedule on OpenSSL's own heap, which cannot be
// locked from an addon. So the keys stay in their locked slots, and a context holds the schedule of the packet at work;
// it is scheduled anew (about 0.08 us) only when the next packet has another key. `forget` overwrites it.
// Why SHA1_Update and not EVP_MAC: HMAC over saved inner and outer states needs neither allocation nor re-keying and takes
// half the time of EVP_MAC_init with the key kept (docs/performance.md has the figures).
#pragma once
#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "key-pool.hpp"

namespace sallyport {

class Ciphers {
 public:
  /** Takes one slot of `pool` as scratch for hash states, which are as good as keys. */
  explicit Ciphers(KeyPool& pool) noexcept;
  ~Ciphers();
  Ciphers(Ciphers const&) = delete;
  Ciphers& operator=(Ciphers const&) = delete;

  /** False: a cipher or memory is missing, or a known answer is wrong. */
  bool ok() const noexcept { return ok_; }

  enum class Way : uint8_t { open = 0, seal = 1 };

  /** AES-CTR in place. `way` only says which context is likely to have the key already. */
  bool counterMode(Way way, SessionHalf const& half, unsigned keyLength, uint8_t const iv[16], uint8_t* octets,
                   size_t length) noexcept;

  /** HMAC-SHA1 over `length` octets; writes 20. */
  void authenticate(SessionHalf const& half, uint8_t const* octets, size_t length, uint8_t tag[20]) noexcept;

  struct Associated {
    uint8_t const* octets;
    size_t length;
  };
  /** AES-GCM in place; writes the 16 octets of the tag. `more` is associated data after `first`. */
  bool galoisSeal(SessionHalf const& half, unsigned keyLength, uint8_t const nonce[12], Associated first,
                  Associated more, uint8_t* octets, size_t length, uint8_t* tag) noexcept;
  /** The same back. False when the tag does not verify: the octets are as they were. */
  bool galoisOpen(SessionHalf const& half, unsigned keyLength, uint8_t const nonce[12], Associated first,
                  Associated more, uint8_t* octets, size_t length, uint8_t const* tag) noexcept;

  /** Overwrites the key schedules and hash states at hand. */
  void forget() noexcept;

  /** Fills `half` from session keys as derived: `authentication` is 20 octets or null. */
  static void fill(SessionHalf& half, uint8_t const* encryption, unsigned keyLength, uint8_t const* authentication,
                   uint8_t const* salt, unsigned saltLength) noexcept;

 private:
  struct Context {
    EVP_CIPHER_CTX* evp = nullptr;
    /** The `serial` of the key whose schedule it holds. */
    uint64_t serial = 0;
  };
  /** Known answers (self-test.cpp). */
  bool answers() noexcept;
  bool key(Context& context, bool sealing, SessionHalf const& half, uint8_t const* iv) noexcept;

  static constexpr unsigned maxDatagram = 65536;
  bool ok_ = false;
  KeyPool& pool_;
  KeySlot* scratch_ = nullptr;
  Context counter_[2][3];
  Context galois_[2][2];
  /** Where GCM opens to: the packet must be whole if the tag is wrong. */
  std::unique_ptr<uint8_t[]> opened_;
};

}  // namespace sallyport
