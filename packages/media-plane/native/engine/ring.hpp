// Owns one bounded ring from one thread to one other: no lock, no allocation after construction. Knows not what it carries.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

namespace sallyport {

template <typename Item, size_t count>
class SpscRing {
  static_assert((count & (count - 1)) == 0);

 public:
  /** The place of the next item to write, or nullptr when the ring is full. `publish` makes it visible. */
  Item* room() {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - headSeen_ == count) {
      headSeen_ = head_.load(std::memory_order_acquire);
      if (tail - headSeen_ == count) return nullptr;
    }
    return &items_[tail & (count - 1)];
  }
  void publish() { tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  /** The oldest item, or nullptr when there is none. `pop` gives its place back. */
  Item* front() {
    const size_t head = head_.load(std::memory_order_relaxed);
    return head == tail_.load(std::memory_order_acquire) ? nullptr : &items_[head & (count - 1)];
  }
  void pop() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  size_t size() const { return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire); }
  Item* storage() { return items_.get(); }
  static constexpr size_t octets = sizeof(Item) * count;

 private:
  alignas(64) std::atomic<size_t> tail_{0};
  size_t headSeen_ = 0;
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::unique_ptr<Item[]> items_ = std::make_unique<Item[]>(count);
};

}  // namespace sallyport
