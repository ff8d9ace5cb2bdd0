// Owns where one flow (the RTP or the RTCP of a leg) sends to and whom it hears (H.248.37), as portable/latch.ts.
// Whether a packet may teach anything was decided before: on a protected leg only its verified tag lets it come here.
#pragma once
#include "address.hpp"
#include "plan.hpp"

namespace sallyport {

class Latch {
 public:
  /** Family 0 before anything was learned. */
  Address const& learned() const noexcept { return learned_; }
  LatchRule rule() const noexcept { return rule_; }

  /** H.248.37: the signal starts the learning; `latch` on a flow that has learned changes nothing, `off` forgets. */
  void apply(LatchRule rule) noexcept {
    if (rule == LatchRule::off) {
      *this = Latch();
    } else if (rule == LatchRule::relatch) {
      rule_ = rule;
      waiting_ = true;
    } else {
      rule_ = rule;
      if (learned_.family == 0) waiting_ = true;
    }
  }

  /** The signalled address changed: the peer moved, so what was learned is void and a latching flow learns anew. */
  void remoteMoved() noexcept {
    if (rule_ == LatchRule::off) return;
    learned_ = Address();
    waiting_ = true;
  }

  /** Whether a flow without protection takes packets from there. */
  bool hears(Address const& remote, Address const& from) const noexcept {
    // Not asked to learn: only the signalled address, whatever the port (an endpoint may send from another one).
    if (rule_ == LatchRule::off) return remote.family != 0 && sameHost(remote, from);
    return waiting_ || (learned_.family != 0 && learned_ == from);
  }

  void learn(Address const& from) noexcept {
    if (!waiting_ || (learned_.family != 0 && learned_ == from)) return;
    learned_ = from;
    waiting_ = false;
  }

 private:
  Address learned_;
  LatchRule rule_ = LatchRule::off;
  /** The next packet from a source other than `learned_` will be learned. */
  bool waiting_ = false;
};

}  // namespace sallyport
