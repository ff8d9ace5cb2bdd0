// Owns packet indices: the guess of the 48-bit index from 16 bits, and which indices were used already.
// RFC 3711 3.3.1, 3.3.2 and appendix A. Knows no key: a receiver marks only what verified, a sender only what it sends.
#pragma once
#include <cstdint>

namespace sallyport {

inline constexpr int64_t indexEnd = int64_t{1} << 48;
inline constexpr uint32_t rtcpIndexEnd = uint32_t{1} << 31;

/** RFC 3711 3.3.1: the index nearest to `highest` with these low 16 bits. At ROC 0 there is nothing before. */
inline int64_t guessIndex(int64_t highest, uint16_t sequence) noexcept {
  int64_t const last = highest & 0xffff;
  int64_t const base = highest - last;
  if (last < 32768) return sequence - last > 32768 && base > 0 ? base - 65536 + sequence : base + sequence;
  return last - 32768 > sequence ? base + 65536 + sequence : base + sequence;
}

/** At ROC 0: what RFC 3711 3.3.1 takes for a packet of ROC -1. A receiver may try it at 0; a sender can not rely on that. */
inline bool isBeforeAll(int64_t highest, uint16_t sequence) noexcept {
  return highest >= 0 && highest < 32768 && sequence - highest > 32768;
}

enum class Seen : uint8_t { fresh, replay, tooOld };

/** The highest index and which of the 128 up to it were seen (RFC 3711 3.3.2: at least 64; RFC 3550 A.1: 100). */
class IndexWindow {
 public:
  static constexpr int64_t size = 128;

  IndexWindow() = default;
  /** That index and all before it count as seen; -1 for none. */
  explicit IndexWindow(int64_t resumeAt) noexcept : highest_(resumeAt) {
    if (resumeAt >= 0) {
      for (auto& word : seen_) word = ~uint64_t{0};
    }
  }

  /** -1 before the first. */
  int64_t highest() const noexcept { return highest_; }

  /** Read only: nothing changes until `mark`. */
  Seen check(int64_t index) const noexcept {
    if (index > highest_) return Seen::fresh;
    int64_t const behind = highest_ - index;
    if (behind >= size) return Seen::tooOld;
    return (seen_[behind >> 6] >> (behind & 63) & 1) != 0 ? Seen::replay : Seen::fresh;
  }

  /** Marks an index that `check` called fresh, and moves the window up to it if it is the highest. */
  void mark(int64_t index) noexcept {
    if (index > highest_) {
      if (highest_ < 0 || index - highest_ >= size) clear();
      else shift(static_cast<unsigned>(index - highest_));
      highest_ = index;
    }
    int64_t const behind = highest_ - index;
    seen_[behind >> 6] |= uint64_t{1} << (behind & 63);
  }

 private:
  void clear() noexcept {
    for (auto& word : seen_) word = 0;
  }
  // Bit n of the window stands for `highest - n`.
  void shift(unsigned by) noexcept {
    if (by >= 64) {
      seen_[1] = by == 64 ? seen_[0] : seen_[0] << (by - 64);
      seen_[0] = 0;
    } else {
      seen_[1] = seen_[1] << by | seen_[0] >> (64 - by);
      seen_[0] <<= by;
    }
  }

  int64_t highest_ = -1;
  uint64_t seen_[2] = {};
};

}  // namespace sallyport
