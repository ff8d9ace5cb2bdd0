#include "umem.hpp"
#include <sys/mman.h>
#include <cerrno>
#include <cstring>

namespace sallyport::xdp {

Umem::~Umem() {
  if (memory_ == nullptr) return;
  explicit_bzero(memory_, octets());
  munlock(memory_, octets());
  munmap(memory_, octets());
}

bool Umem::open(uint32_t frames, uint32_t frameSize, std::string& why) {
  const size_t size = static_cast<size_t>(frames) * frameSize;
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  // Locked as a whole anyway: in large pages, where there are some, it costs fewer walks of page tables.
  if (memory != MAP_FAILED) madvise(memory, size, MADV_HUGEPAGE);
  if (memory != MAP_FAILED && mlock(memory, size) == 0 && madvise(memory, size, MADV_DONTDUMP) == 0 &&
      madvise(memory, size, MADV_DONTFORK) == 0) {
    memory_ = static_cast<uint8_t*>(memory);
    frames_ = frames;
    frameSize_ = frameSize;
    free_.reserve(frames);
    for (uint32_t frame = frames; frame-- > 0;) free_.push_back(static_cast<uint64_t>(frame) * frameSize);
    return true;
  }
  why = "memory for packets cannot be locked: " + std::string(std::strerror(errno)) + " (" + std::to_string(size) +
        " octets are needed): raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the service)";
  if (memory != MAP_FAILED) munmap(memory, size);
  return false;
}

}  // namespace sallyport::xdp
