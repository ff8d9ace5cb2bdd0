// Owns one io_uring: its mappings, its fixed files and its ring of provided buffers. One thread's alone (single issuer). Knows no leg.
#pragma once
#include <cstddef>
#include <string>
#include "uring_abi.hpp"

namespace sallyport::uring {

class Ring {
 public:
  Ring() = default;
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /** To be called on the thread that will use it. False: `why` says what the kernel refused. */
  bool open(unsigned entries, unsigned completions, std::string& why);
  /** Receive buffers of `size` octets each, a power of two of them. */
  bool provideBuffers(unsigned count, unsigned size, std::string& why);
  bool sparseFiles(unsigned count);
  /** -1 takes the file out. */
  bool setFile(unsigned index, int fd);

  /** A cleared record to fill in, or nullptr when the queue is full: `submit` makes room. */
  Sqe* next();
  /** Hands over what was queued; what can be done at once is done when this returns. Gives 0 or -errno. */
  int submit();
  /** The same, then waits for `count` completions; after `minimumUs` for one; at most `timeoutNs`. Runs the kernel's deferred work. */
  int submitAndWait(unsigned count, unsigned minimumUs, uint64_t timeoutNs);

  /** Calls `use` for each completion there is, at most `limit`. */
  template <typename Use>
  unsigned reap(unsigned limit, Use&& use) {
    unsigned head = *cqHead_;
    const unsigned tail = __atomic_load_n(cqTail_, __ATOMIC_ACQUIRE);
    unsigned count = 0;
    for (; head != tail && count < limit; ++head, ++count) {
      reading_ = head;
      use(cqes_[head & cqMask_]);
    }
    __atomic_store_n(cqHead_, head, __ATOMIC_RELEASE);
    return count;
  }
  /** Within `reap`: the completion so many after the one in use, nullptr where there is none. */
  Cqe const* peek(unsigned ahead) const {
    const unsigned at = reading_ + ahead;
    return static_cast<int>(__atomic_load_n(cqTail_, __ATOMIC_ACQUIRE) - at) > 0 ? &cqes_[at & cqMask_] : nullptr;
  }
  unsigned ready() const { return __atomic_load_n(cqTail_, __ATOMIC_ACQUIRE) - *cqHead_; }
  unsigned queued() const { return tail_ - submitted_; }

  uint8_t* buffer(unsigned id) { return buffers_ + static_cast<size_t>(id) * bufferSize_; }
  unsigned bufferSize() const { return bufferSize_; }
  /** Gives a buffer back; visible to the kernel after `publishBuffers`. */
  void recycle(unsigned id);
  void publishBuffers();

 private:
  int fd_ = -1;
  uint32_t features_ = 0;
  void* rings_ = nullptr;
  size_t ringsSize_ = 0;
  Sqe* sqes_ = nullptr;
  size_t sqesSize_ = 0;
  unsigned sqEntries_ = 0, sqMask_ = 0, tail_ = 0, submitted_ = 0;
  uint32_t *sqHead_ = nullptr, *sqTail_ = nullptr;
  uint32_t *cqHead_ = nullptr, *cqTail_ = nullptr;
  unsigned cqMask_ = 0, reading_ = 0;
  Cqe* cqes_ = nullptr;
  Buffer* bufferRing_ = nullptr;
  size_t bufferRingSize_ = 0;
  unsigned bufferCount_ = 0, bufferSize_ = 0;
  uint16_t bufferTail_ = 0;
  uint8_t* buffers_ = nullptr;
};

}  // namespace sallyport::uring
