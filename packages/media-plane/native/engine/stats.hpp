// Owns the layout of what one thread tells about itself, in memory that JavaScript reads as it stands: doubles, written by the
// thread alone. The order is that of src/native/threads.ts.
#pragma once
#include <atomic>
#include <cstddef>

namespace sallyport {

/** Exact up to 2^53; a plain store, never torn. */
class Figure {
 public:
  double get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(double more) noexcept { set(get() + more); }

 private:
  std::atomic<double> value_{0};
};
static_assert(sizeof(Figure) == 8 && std::atomic<double>::is_always_lock_free);

struct alignas(128) ThreadStats {
  Figure packetsIn, packetsOut;
  /** Wake-ups; packets a wake-up are what batching gains. */
  Figure wakes;
  /** Datagrams the kernel dropped because a socket's receive buffer was full (SK_MEMINFO_DROPS). */
  Figure lost;
  Figure sendErrors;
  /** 0 to 1: the share of the last tenths of a second this thread was at work. */
  Figure load;
  /** Most packets found waiting at one wake-up during the last second. */
  Figure queueDepth;
  Figure legs;
  /** Times the receive buffers ran out: packets waited in their sockets meanwhile. */
  Figure buffersExhausted;
  /** Longer than a receive buffer. */
  Figure oversized;
  /** Processor time of the thread, seconds. */
  Figure cpuSeconds;
  /** Packets per wake-up are bounded by waiting this long, microseconds; 0: woken by each. */
  Figure batchUs;
  Figure moves;
  /** Sockets connected so far to where a flow sends steadily. */
  Figure connects;
  /** Of the xdp engine: datagrams that came and went past the sockets. */
  Figure directIn, directOut;
  /** Frames for our ports that were no sound datagram, or whose port was gone: dropped. */
  Figure unsound;
  /** Frames in all, those nobody has, and those the kernel has: to receive into, or to send. */
  Figure frames, framesFree, framesHeld;
  /** Places whose way is known. */
  Figure hops;
  /** 1: packets go by the sockets, because the kernel has IPsec policies. */
  Figure paused;
  Figure reserved[10];
};
static_assert(sizeof(ThreadStats) == 256);
inline constexpr size_t threadFigures = sizeof(ThreadStats) / sizeof(Figure);

}  // namespace sallyport
