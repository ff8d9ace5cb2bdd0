// Owns the detection of silence on one leg, for each direction apart (H.248.40), as portable/inactivity.ts.
// A packet costs a store; the engine calls `due` when the time has come.
#pragma once
#include <cstdint>

#include "events.hpp"

namespace sallyport {

class Watch {
 public:
  /** Starts anew: silence is counted from now. `afterNs` of 0, or a direction not expected, is not watched. */
  void start(uint64_t afterNs, bool in, bool out, uint64_t nowNs) noexcept {
    afterNs_ = afterNs;
    bool const expected[2] = {in, out};
    for (unsigned way = 0; way < 2; way++) {
      last_[way] = nowNs;
      watched_[way] = expected[way] && afterNs != 0;
      reported_[way] = false;
    }
  }

  /** A packet went that way; after a report this starts the watch again. */
  void touched(Direction direction, uint64_t nowNs) noexcept {
    unsigned const way = static_cast<unsigned>(direction);
    last_[way] = nowNs;
    reported_[way] = false;
  }

  uint64_t deadline() const noexcept {
    uint64_t first = UINT64_MAX;
    for (unsigned way = 0; way < 2; way++) {
      if (!watched_[way] || reported_[way]) continue;
      uint64_t const due = last_[way] + afterNs_;
      if (due < first) first = due;
    }
    return first;
  }

  /** Whether that way has been silent for long enough and was not reported; it is then. */
  bool due(Direction direction, uint64_t nowNs) noexcept {
    unsigned const way = static_cast<unsigned>(direction);
    if (!watched_[way] || reported_[way] || nowNs - last_[way] < afterNs_) return false;
    reported_[way] = true;
    return true;
  }

  void stop() noexcept { watched_[0] = watched_[1] = false; }

 private:
  uint64_t afterNs_ = 0;
  uint64_t last_[2] = {};
  bool watched_[2] = {};
  bool reported_[2] = {};
};

}  // namespace sallyport
