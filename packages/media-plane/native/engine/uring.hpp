// Owns one io_uring: its mappings and its fixed files. One thread's alone (single issuer). Knows no leg.
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
  bool sparseFiles(unsigned count);
  /** -1 takes the file out. */
  bool setFile(unsigned index, int fd);

  /** A cleared record to fill in, or nullptr when the queue is full: `submit` makes room. */
  Sqe* next();
  /** Hands over what was queued; what can be done at once is done when this returns. Gives 0 or -errno. */
  int submit();

  /** Calls `use` for each completion there is, at most `limit`. */
  template <typename Use>
  unsigned reap(unsigned limit, Use&& use) {
    unsigned head = *cqHead_;
    const unsigned tail = __atomic_load_n(cqTail_, __ATOMIC_ACQUIRE);
    unsigned count = 0;
    for (; head != tail && count < limit; ++head, ++count) use(cqes_[head & cqMask_]);
    __atomic_store_n(cqHead_, head, __ATOMIC_RELEASE);
    return count;
  }
  unsigned ready() const { return __atomic_load_n(cqTail_, __ATOMIC_ACQUIRE) - *cqHead_; }

 private:
  int fd_ = -1;
  void* rings_ = nullptr;
  size_t ringsSize_ = 0;
  Sqe* sqes_ = nullptr;
  size_t sqesSize_ = 0;
  unsigned sqEntries_ = 0, sqMask_ = 0, tail_ = 0, submitted_ = 0;
  uint32_t *sqHead_ = nullptr, *sqTail_ = nullptr;
  uint32_t *cqHead_ = nullptr, *cqTail_ = nullptr;
  unsigned cqMask_ = 0;
  Cqe* cqes_ = nullptr;
};

}  // namespace sallyport::uring
