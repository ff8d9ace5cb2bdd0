// Owns the rare events of one thread until they are read: a bounded ring with one writer and one reader, no lock.
// A full ring drops what comes later, as the portable engine does: the counters still tell.
#pragma once
#include <atomic>
#include <cstdint>

namespace sallyport {

enum class EventKind : uint8_t { inactive = 0, keyExpiring = 1, alarm = 2 };
enum class Direction : uint8_t { in = 0, out = 1 };
enum class Alarm : uint8_t { clearOnProtected = 0, authentication = 1, lifetime = 2, indexReuse = 3 };
inline constexpr unsigned alarmKinds = 4;

struct Event {
  uint32_t leg;
  EventKind kind;
  /** A `Direction`, or for an alarm an `Alarm`. */
  uint8_t what;
  uint16_t reserved;
  /** Packets an alarm stands for. */
  uint64_t count;
};
static_assert(sizeof(Event) == 16, "read by JavaScript");

class EventRing {
 public:
  static constexpr uint32_t capacity = 1024;

  /** The writing thread only. */
  void push(Event const& event) noexcept {
    uint32_t const head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) >= capacity) return;
    events_[head % capacity] = event;
    head_.store(head + 1, std::memory_order_release);
  }

  /** The reading thread only. False when there is none. */
  bool pop(Event& event) noexcept {
    uint32_t const tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    event = events_[tail % capacity];
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

 private:
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
  Event events_[capacity];
};

}  // namespace sallyport
