// Owns one master key at work: its session keys (RFC 3711 4.3, RFC 6188 3, RFC 7714 11; key derivation rate 0), its MKI
// and how much of its lifetime is used. The master itself is not kept.
#pragma once
#include <cstdint>

#include "key-pool.hpp"
#include "suite.hpp"
#include "terms.hpp"

namespace sallyport {

struct SessionKey {
  KeySlot* slot = nullptr;
  uint64_t srtpUsed = 0;
  uint64_t srtpLimit = 0;
  uint64_t srtcpUsed = 0;
  uint64_t srtcpLimit = 0;
  /** Its user was told that it nears its end. */
  bool told = false;
  uint8_t mkiLength = 0;
  uint8_t mki[maxMki] = {};
  KeyPool* pool = nullptr;

  SessionKey() = default;
  SessionKey(SessionKey const&) = delete;
  SessionKey& operator=(SessionKey const&) = delete;
  /** Zeroises the session keys. */
  ~SessionKey();

  /** CONTROL. Derives from a plan whose lengths were checked; false without locked memory or a cipher. */
  bool derive(Suite const& suite, KeyPlan const& plan, KeyPool& from);

  /** True once, with the packet that brings the use to 7/8 of the lifetime (RFC 3711 9.2). */
  bool expiring() noexcept {
    if (told || (8 * srtpUsed < 7 * srtpLimit && 8 * srtcpUsed < 7 * srtcpLimit)) return false;
    told = true;
    return true;
  }
};

/** Session keys as derived, not yet in a slot: what the vectors of RFC 3711 B.3 compare. */
struct DerivedKeys {
  uint8_t encryption[32];
  uint8_t authentication[20];
  uint8_t salt[14];
};

/** `master` is key || salt. `protocol` 0 is SRTP, 1 is SRTCP. False when OpenSSL has no such cipher. */
bool deriveKeys(Suite const& suite, uint8_t const* master, unsigned protocol, DerivedKeys& keys);

}  // namespace sallyport
