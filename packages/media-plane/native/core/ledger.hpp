// Owns the CONTROL side of a leg's keys: refuses what may not be used, derives the rest, and remembers which keys a leg
// has had (invariant 4, RFC 3711 9.1). Touches nothing that packets use.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "identity.hpp"
#include "key-pool.hpp"
#include "plan.hpp"
#include "terms.hpp"

namespace sallyport {

struct Sending;
struct Receiving;

/** Why a change is refused; the codes of `srtpErrors` and `mediaPlaneErrors` that say the same. */
enum class Refusal : uint8_t {
  none = 0,
  /** SALLY_SRTP_KEY_LENGTH */
  keyLength,
  /** SALLY_SRTP_KEYS: none, too many, or not to be told apart by MKI. */
  keys,
  /** SALLY_SRTP_LIFETIME */
  lifetime,
  /** SALLY_PLANE_KEY_IN_USE: the send key is this leg's own receive key. */
  ownReceiveKey,
  /** SALLY_PLANE_KEY_IN_USE: `Ledger::owner` tells which leg. */
  otherLeg,
  /** SALLY_PLANE_KEY_IN_USE: a leg that is closed has sent under it. */
  closedLeg,
  /** SALLY_PLANE_REKEYS */
  rekeys,
  /** No locked memory is left for keys. */
  keyMemory,
};

/** Which leg sends under which key, over all legs of a plane; as portable/send-keys.ts. Holds digests, never keys. */
class SendKeys {
 public:
  /** The leg that has sent under it and is open; 0 for none. */
  uint32_t owner(Identity const& identity) const;
  bool closed(Identity const& identity) const { return closed_.count(identity) != 0; }
  void own(Identity const& identity, uint32_t leg) { owners_[identity] = leg; }
  /** Nothing was sent under it. */
  void forget(Identity const& identity) { owners_.erase(identity); }
  /** The leg is closed: its keys stay used. At most 16,384 are remembered. */
  void retire(Identity const& identity);

 private:
  std::unordered_map<Identity, uint32_t, IdentityHash> owners_;
  std::unordered_set<Identity, IdentityHash> closed_;
  std::deque<Identity> order_;
};

/** A change on its way to a leg's thread and back. */
struct Update {
  LegValues values;
  Protection protection = Protection::clear;
  /** With `srtp`: octets below which a packet cannot be SRTP of this suite. */
  size_t shortest = 0;
  /** Where the keys differ from those in force; what `Leg::apply` did not take is zeroised with the update. */
  std::unique_ptr<Sending> sending;
  std::unique_ptr<Receiving> receiving;

  Update();
  ~Update();
};

class Ledger {
 public:
  Ledger(uint32_t leg, KeyPool& pool, SendKeys& sendKeys);
  ~Ledger();
  Ledger(Ledger const&) = delete;
  Ledger& operator=(Ledger const&) = delete;

  /**
   * Gives an update, or null and why. Nothing has changed on a refusal, and an update that was given must be applied.
   * `change`'s masters are read and not kept. `nowNs` is the clock that the leg's thread has.
   */
  std::unique_ptr<Update> prepare(LegChange const& change, uint64_t nowNs, Refusal& refusal);
  /** The leg's thread has applied one update, the oldest: replaced keys under which nothing was sent may be used elsewhere. */
  void settle();
  /** The leg is closed, its thread has let it go and every update was settled: its used send keys stay used. */
  void close();
  /** Which leg, after `otherLeg`. */
  uint32_t owner() const noexcept { return owner_; }

 private:
  using Used = std::shared_ptr<std::atomic<bool>>;
  Refusal check(ProtectionPlan const& plan, bool newSending, bool newReceiving);
  Refusal checkKey(Suite const& suite, KeyPlan const& plan) const;
  void endOverlap();
  void remember(std::vector<Terms>& receiving);
  void retireSending();
  void forgetUnused();

  uint32_t leg_;
  KeyPool& pool_;
  SendKeys& sendKeys_;
  uint32_t owner_ = 0;
  /** What is in force, as the leg's thread has it or will have it. */
  bool isSending_ = false;
  Terms sending_;
  Used sendingUsed_;
  std::vector<Terms> receiving_;
  std::vector<Terms> earlier_;
  uint64_t earlierUntilNs_ = 0;
  /** Keys in force before, by what was sent under them. */
  std::unordered_map<Identity, Used, IdentityHash> usedToSend_;
  std::unordered_set<Identity, IdentityHash> usedToReceive_;
  /** Updates on their way: until they are settled nobody can say that a key was not used. */
  uint32_t unsettled_ = 0;
  /** Of the change being prepared. */
  std::vector<Terms> askedReceiving_;
  Terms askedSending_;
};

}  // namespace sallyport
