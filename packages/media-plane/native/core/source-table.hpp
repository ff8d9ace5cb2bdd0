// Owns the contexts of SSRCs: the first stands in the table itself, for most streams have one and it shall cost no further
// cache line; the others in a small open-addressing table, of which the last one asked for is at hand.
// Allocates only when an SSRC is new; nothing is ever removed (forgetting an SSRC would allow its indices again).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace sallyport {

/** SSRCs that have a context, a leg and direction: bounds what strangers can make us allocate. */
inline constexpr uint32_t maxSources = 64;

/** `T` has `uint32_t ssrc` and `bool taken`, false when made. Pointers to entries hold until the next `add`. */
template <class T>
class SourceTable {
 public:
  SourceTable() = default;
  SourceTable(SourceTable&&) noexcept = default;
  SourceTable& operator=(SourceTable&&) noexcept = default;

  uint32_t size() const noexcept { return size_; }

  T* find(uint32_t ssrc) noexcept {
    if (first_.ssrc == ssrc && first_.taken) return &first_;
    if (last_ < capacity_ && slots_[last_].taken && slots_[last_].ssrc == ssrc) return &slots_[last_];
    if (capacity_ == 0) return nullptr;
    uint32_t const at = place(ssrc);
    if (!slots_[at].taken) return nullptr;
    last_ = at;
    return &slots_[at];
  }

  /** A new entry for an SSRC that `find` did not know; null when there is no memory. */
  T* add(uint32_t ssrc) noexcept {
    T* entry = &first_;
    if (size_ > 0) {
      // At most three quarters full, so that probing ends.
      if (4 * size_ > 3 * capacity_ && !grow()) return nullptr;
      last_ = place(ssrc);
      entry = &slots_[last_];
    }
    entry->ssrc = ssrc;
    entry->taken = true;
    size_ += 1;
    return entry;
  }

  template <class Visit>
  void each(Visit visit) {
    if (first_.taken) visit(first_);
    for (uint32_t at = 0; at < capacity_; at++) {
      if (slots_[at].taken) visit(slots_[at]);
    }
  }

 private:
  // Strangers choose SSRCs; the bound on their number bounds the probing too.
  uint32_t place(uint32_t ssrc) const noexcept {
    uint32_t at = (ssrc * 0x9e3779b1u >> 16) & (capacity_ - 1);
    while (slots_[at].taken && slots_[at].ssrc != ssrc) at = (at + 1) & (capacity_ - 1);
    return at;
  }

  bool grow() noexcept {
    uint32_t const capacity = capacity_ == 0 ? 4 : 2 * capacity_;
    std::unique_ptr<T[]> slots(new (std::nothrow) T[capacity]);
    if (!slots) return false;
    std::swap(slots, slots_);
    uint32_t const before = std::exchange(capacity_, capacity);
    for (uint32_t at = 0; at < before; at++) {
      if (slots[at].taken) slots_[place(slots[at].ssrc)] = std::move(slots[at]);
    }
    return true;
  }

  T first_;
  std::unique_ptr<T[]> slots_;
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t last_ = 0;
};

}  // namespace sallyport
