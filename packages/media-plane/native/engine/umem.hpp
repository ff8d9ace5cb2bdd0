// Owns the memory that frames of AF_XDP live in, and which of them are free. Locked, left out of core dumps, not inherited by a fork:
// speech passes here in the clear. One thread's alone. Knows no socket.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::xdp {

class Umem {
 public:
  Umem() = default;
  ~Umem();
  Umem(Umem const&) = delete;
  Umem& operator=(Umem const&) = delete;

  /** `frameSize` is a power of two from 2048 to 4096. */
  bool open(uint32_t frames, uint32_t frameSize, std::string& why);

  uint8_t* at(uint64_t address) { return memory_ + address; }
  uint64_t addressOf(uint8_t const* octets) const { return static_cast<uint64_t>(octets - memory_); }
  /** Where the frame begins that has this address in it. */
  uint64_t frameOf(uint64_t address) const { return address & ~static_cast<uint64_t>(frameSize_ - 1); }
  /** Octets from here to the end of the frame. */
  size_t roomFrom(uint64_t address) const { return frameSize_ - static_cast<size_t>(address & (frameSize_ - 1)); }

  bool take(uint64_t& frame) {
    if (free_.empty()) return false;
    frame = free_.back();
    free_.pop_back();
    return true;
  }
  /** Any address within the frame. */
  void give(uint64_t address) { free_.push_back(frameOf(address)); }

  size_t free() const { return free_.size(); }
  uint32_t frames() const { return frames_; }
  uint32_t frameSize() const { return frameSize_; }
  uint8_t* memory() { return memory_; }
  size_t octets() const { return static_cast<size_t>(frames_) * frameSize_; }

 private:
  uint8_t* memory_ = nullptr;
  uint32_t frames_ = 0, frameSize_ = 0;
  std::vector<uint64_t> free_;
};

}  // namespace sallyport::xdp
