// The locked pool of session keys; see key-pool.hpp.
#include "key-pool.hpp"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace sallyport {

KeyPool::~KeyPool() {
  if (slots_ == nullptr) return;
  OPENSSL_cleanse(slots_, bytes_);
  munlock(slots_, bytes_);
  munmap(slots_, bytes_);
}

bool KeyPool::reserve(size_t keys, Trouble& trouble) noexcept {
  trouble = Trouble();
  if (slots_ != nullptr || keys == 0) {
    trouble.error = EINVAL;
    return false;
  }
  size_t const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t const bytes = (keys * sizeof(KeySlot) + page - 1) / page * page;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    trouble.error = errno;
    return false;
  }
  // Locked as a whole anyway: in large pages, where there are some, it costs fewer walks of page tables.
  madvise(memory, bytes, MADV_HUGEPAGE);
  // Neither a core dump nor a child sees them; what follows is refused rather than done without the lock.
  bool const locked = mlock(memory, bytes) == 0;
  if (!locked || madvise(memory, bytes, MADV_DONTDUMP) != 0 || madvise(memory, bytes, MADV_DONTFORK) != 0) {
    trouble.error = errno;
    rlimit limit{};
    if (!locked && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      trouble.needed = bytes;
      trouble.limit = limit.rlim_cur;
    }
    munmap(memory, bytes);
    return false;
  }
  slots_ = static_cast<KeySlot*>(memory);
  bytes_ = bytes;
  count_ = keys;
  return true;
}

KeySlot* KeyPool::take() noexcept {
  if (own_ == nullptr) own_ = given_.exchange(nullptr, std::memory_order_acquire);
  KeySlot* slot = nullptr;
  if (own_ != nullptr) {
    slot = reinterpret_cast<KeySlot*>(own_);
    own_ = own_->next;
    reinterpret_cast<Free*>(slot)->next = nullptr;
  } else if (fresh_ < count_) {
    slot = slots_ + fresh_++;
  } else {
    return nullptr;
  }
  taken_.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

void KeyPool::give(KeySlot* slot) noexcept {
  OPENSSL_cleanse(slot, sizeof *slot);
  auto* const freed = reinterpret_cast<Free*>(slot);
  freed->next = given_.load(std::memory_order_relaxed);
  while (!given_.compare_exchange_weak(freed->next, freed, std::memory_order_release, std::memory_order_relaxed)) {
  }
  taken_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace sallyport
