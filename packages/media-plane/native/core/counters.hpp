// Owns the layout of a leg's counters: 64-bit fields in the order of LegCounters in plane.ts, so that JavaScript reads
// them from shared memory. Written by the leg's thread alone, read by anyone without a lock.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sallyport {

// The order is the layout: what each packet touches stands first, and fills two cache lines.
#define SALLYPORT_COUNTERS(X)                                                                                      \
  X(rtpIn) X(rtcpIn) X(octetsIn) X(rtpOut) X(rtcpOut) X(octetsOut) X(lastPacketAt) X(lost)                         \
  X(jitter) X(sources) X(otherIn) X(otherOut) X(authenticationFailures) X(replays) X(clearDropped) X(malformed)    \
  X(sourceDropped) X(stunDropped) X(dtlsDropped) X(awaitingKeysDropped) X(modeDropped) X(filtered) X(policed)      \
  X(indexReuse) X(carriedForward) X(rocTrials) X(lifetimeDropped) X(sourcesRefused) X(otherDropped) X(sendErrors)  \
  X(keyChanges) X(roundTripMs)

/** One writer: a plain increment on every machine we build for, and never a torn read. */
class Counter {
 public:
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(uint64_t more) noexcept { set(get() + more); }

 private:
  std::atomic<uint64_t> value_{0};
};
static_assert(sizeof(Counter) == 8 && std::atomic<uint64_t>::is_always_lock_free, "read as plain 64-bit fields");

struct alignas(64) Counters {
#define SALLYPORT_FIELD(name) Counter name;
  SALLYPORT_COUNTERS(SALLYPORT_FIELD)
#undef SALLYPORT_FIELD
};

#define SALLYPORT_NAME(name) #name,
/** The fields' names in the order of the layout. `lastPacketAt` is in nanoseconds of the clock that `receive` is told. */
inline constexpr char const* counterNames[] = {SALLYPORT_COUNTERS(SALLYPORT_NAME)};
#undef SALLYPORT_NAME
inline constexpr size_t counterCount = sizeof counterNames / sizeof counterNames[0];
static_assert(sizeof(Counters) == counterCount * 8, "no padding between counters");

}  // namespace sallyport
