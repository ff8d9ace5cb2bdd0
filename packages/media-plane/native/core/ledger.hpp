// Owns the CONTROL side of a leg's keys: refuses what may not be used, derives the rest, and remembers which keys a leg
// has had (invariant 4, RFC 3711 9.1). Touches nothing that packets use.
#pragma once
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
  /** Where the keys differ from those in force; after `Leg::apply` what was replaced or not needed. */
  std::unique_ptr<Sending> sending;
  std::unique_ptr<Receiving> receiving;
  std::unique_ptr<Receiving> ended;

  Update();
  ~Update();
};

class Ledger {
 public:
  Ledger(uint32_t leg, KeyPool& pool, SendKeys& sendKeys);
  ~Ledger();
  Ledger(Ledger const&) = delete;
  Ledger& operator=(Ledger const&) = delete;

  /** Gives an update, or null and why. Nothing has changed on a refusal. `change`'s masters are not kept. */
  std::unique_ptr<Update> prepare(LegChange const& change, uint64_t nowNs, Refusal& refusal);
  /** The update came back from the leg's thread: a key under which nothing was sent may be used elsewhere. */
  void settle(Update& update);
  /** The leg is closed (its thread has let it go): its send keys stay used. */
  void close();
  /** Which leg, after `otherLeg`. */
  uint32_t owner() const noexcept { return owner_; }

 private:
  struct Live {
    std::vector<Terms> terms;
  };
  Refusal check(ProtectionPlan const& plan, std::vector<Terms>& received, Terms& sent, uint64_t nowNs);
  void endOverlap();
  void retireReceiving();
  void retireSending();

  uint32_t leg_;
  KeyPool& pool_;
  SendKeys& sendKeys_;
  uint32_t owner_ = 0;
  std::unique_ptr<Terms> sending_;
  std::shared_ptr<std::atomic<bool>> sendingUsed_;
  std::vector<Terms> receiving_;
  std::vector<Terms> earlier_;
  uint64_t earlierUntilNs_ = 0;
  std::unordered_map<Identity, std::shared_ptr<std::atomic<bool>>, IdentityHash> usedToSend_;
  std::unordered_set<Identity, IdentityHash> usedToReceive_;
};

}  // namespace sallyport
