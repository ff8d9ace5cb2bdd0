// Owns the memory that session keys live in: locked (never swapped), left out of core dumps, not inherited by a fork,
// zeroised as it is given back. Master keys pass through the caller's stack only.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sallyport {

/** The session keys of one protocol under one master key (RFC 3711 4.3). Two cache lines. */
struct alignas(64) SessionHalf {
  uint8_t encryption[32];
  /** 14 octets, or 12 for AEAD; zeros after them. */
  uint8_t salt[16];
  /** HMAC-SHA1 after the padded key went in: the state of the inner and of the outer hash (RFC 2104). */
  uint32_t inner[5];
  uint32_t outer[5];
  /** Tells key material apart, also in a slot that was used before; never 0 for a key. */
  uint64_t serial;
};

struct KeySlot {
  SessionHalf srtp;
  SessionHalf srtcp;
};
static_assert(sizeof(KeySlot) == 256, "a slot is four cache lines");

class KeyPool {
 public:
  /** Why the memory is not to be had. `needed` and `limit` are octets (RLIMIT_MEMLOCK), 0 when that was not the reason. */
  struct Trouble {
    int error = 0;
    uint64_t needed = 0;
    uint64_t limit = 0;
  };

  KeyPool() = default;
  ~KeyPool();
  KeyPool(KeyPool const&) = delete;
  KeyPool& operator=(KeyPool const&) = delete;

  /** Takes and locks room for `keys` keys, once. False with `trouble` filled: nothing is taken then. */
  bool reserve(size_t keys, Trouble& trouble) noexcept;
  /** CONTROL. Null when every slot is taken. */
  KeySlot* take() noexcept;
  /** Any thread. Zeroises the slot. */
  void give(KeySlot* slot) noexcept;

  size_t capacity() const noexcept { return count_; }
  size_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  struct Free {
    Free* next;
  };
  KeySlot* slots_ = nullptr;
  size_t count_ = 0;
  size_t bytes_ = 0;
  size_t fresh_ = 0;
  /** Slots to take from; CONTROL's own. */
  Free* own_ = nullptr;
  /** Slots given back: pushed by any thread, taken as a whole by CONTROL, so that no pop can meet a slot twice. */
  std::atomic<Free*> given_{nullptr};
  std::atomic<size_t> taken_{0};
};

}  // namespace sallyport
