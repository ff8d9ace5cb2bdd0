// Owns what stands for a master key where only "the same or not" matters: a digest, as portable/send-keys.ts computes it.
#pragma once
#include <cstdint>
#include <cstring>

namespace sallyport {

struct Identity {
  uint8_t digest[32] = {};
};

inline bool operator==(Identity const& a, Identity const& b) noexcept { return std::memcmp(a.digest, b.digest, 32) == 0; }

struct IdentityHash {
  size_t operator()(Identity const& identity) const noexcept {
    size_t hash;
    std::memcpy(&hash, identity.digest, sizeof hash);
    return hash;
  }
};

/** Equal for equal master keys and salts, under whatever suite or MKI: those do not make a key stream a different one. */
Identity identityOf(uint8_t const* master, unsigned length);

}  // namespace sallyport
