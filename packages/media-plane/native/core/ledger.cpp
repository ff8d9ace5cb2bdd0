// See ledger.hpp.
#include "ledger.hpp"

#include <algorithm>
#include <utility>

#include "contexts.hpp"

namespace sallyport {
namespace {

constexpr size_t maxRetired = 256;
constexpr size_t maxClosed = 16384;

Terms termsOf(SuiteId suite, KeyPlan const& plan) {
  Terms terms;
  // A length that no suite has is refused later; until then it is only not to be read beyond.
  terms.identity = identityOf(plan.master, std::min<unsigned>(plan.masterLength, maxMasterLength));
  terms.suite = suite;
  terms.lifetime = plan.lifetime;
  terms.mki.assign(plan.mki, plan.mki + std::min<unsigned>(plan.mkiLength, maxMki));
  return terms;
}

bool among(std::vector<Terms> const& some, Identity const& identity) {
  return std::any_of(some.begin(), some.end(), [&](Terms const& terms) { return terms.identity == identity; });
}

}  // namespace

uint32_t SendKeys::owner(Identity const& identity) const {
  auto const found = owners_.find(identity);
  return found == owners_.end() ? 0 : found->second;
}

void SendKeys::retire(Identity const& identity) {
  owners_.erase(identity);
  if (!closed_.insert(identity).second) return;
  order_.push_back(identity);
  if (order_.size() <= maxClosed) return;
  closed_.erase(order_.front());
  order_.pop_front();
}

Update::Update() = default;
Update::~Update() = default;

Ledger::Ledger(uint32_t leg, KeyPool& pool, SendKeys& sendKeys) : leg_(leg), pool_(pool), sendKeys_(sendKeys) {}
Ledger::~Ledger() = default;

std::unique_ptr<Update> Ledger::prepare(LegChange const& change, uint64_t nowNs, Refusal& refusal) {
  refusal = Refusal::none;
  auto update = std::make_unique<Update>();
  update->values = change;
  if ((change.fields & fieldProtection) == 0) {
    unsettled_ += 1;
    return update;
  }
  ProtectionPlan const& plan = change.protection;
  update->protection = plan.kind;
  if (!earlier_.empty() && nowNs >= earlierUntilNs_) endOverlap();
  if (plan.kind != Protection::srtp) {
    retireSending();
    remember(receiving_);
    endOverlap();
    unsettled_ += 1;
    return update;
  }

  askedSending_ = termsOf(plan.suite, plan.send);
  askedReceiving_.clear();
  for (KeyPlan const& key : plan.receive) askedReceiving_.push_back(termsOf(plan.suite, key));
  bool const newSending = !isSending_ || sending_ != askedSending_;
  bool const newReceiving = receiving_.empty() || receiving_ != askedReceiving_;
  refusal = check(plan, newSending, newReceiving);
  if (refusal != Refusal::none) return nullptr;

  Suite const& suite = suiteOf(plan.suite);
  update->shortest = 12u + suite.srtpTag + plan.receive[0].mkiLength;
  auto const resources = [&refusal] {
    refusal = Refusal::keyMemory;
    return nullptr;
  };
  if (newSending) {
    update->sending = std::make_unique<Sending>();
    update->sending->suite = &suite;
    update->sending->terms = askedSending_;
    if (!update->sending->key.derive(suite, plan.send, pool_)) return resources();
  }
  if (newReceiving) {
    auto receiving = std::make_unique<Receiving>();
    receiving->suite = &suite;
    receiving->keyCount = static_cast<unsigned>(plan.receive.size());
    if (receiving->keyCount > 1) receiving->others = std::make_unique<SessionKey[]>(receiving->keyCount - 1);
    receiving->terms = askedReceiving_;
    for (unsigned at = 0; at < receiving->keyCount; at++) {
      if (!receiving->key(at).derive(suite, plan.receive[at], pool_)) return resources();
    }
    update->receiving = std::move(receiving);
  }

  // From here on nothing is refused.
  if (newSending) {
    bool const same = isSending_ && sending_.identity == askedSending_.identity;
    Used used = same ? sendingUsed_ : nullptr;
    retireSending();
    auto const before = usedToSend_.find(askedSending_.identity);
    if (used == nullptr && before != usedToSend_.end()) used = before->second;
    if (used == nullptr) used = std::make_shared<std::atomic<bool>>(false);
    update->sending->used = used;
    sendingUsed_ = used;
    sending_ = askedSending_;
    isSending_ = true;
    sendKeys_.own(sending_.identity, leg_);
  }
  if (newReceiving) {
    if (earlier_ == askedReceiving_) earlier_.clear();
    endOverlap();
    std::vector<Terms> replaced = std::exchange(receiving_, askedReceiving_);
    bool const shared = std::any_of(replaced.begin(), replaced.end(),
                                    [&](Terms const& terms) { return among(receiving_, terms.identity); });
    if (shared) {
      remember(replaced);
    } else {
      earlier_ = std::move(replaced);
      earlierUntilNs_ = nowNs + overlapNs;
    }
  }
  unsettled_ += 1;
  return update;
}

Refusal Ledger::check(ProtectionPlan const& plan, bool newSending, bool newReceiving) {
  Identity const& identity = askedSending_.identity;
  // RFC 4568 6.1: never one key for both directions, they would share key stream.
  if (among(askedReceiving_, identity)) return Refusal::ownReceiveKey;
  Suite const& suite = suiteOf(plan.suite);
  if (newSending) {
    owner_ = sendKeys_.owner(identity);
    if (owner_ != 0 && owner_ != leg_) return Refusal::otherLeg;
    if (sendKeys_.closed(identity)) return Refusal::closedLeg;
    auto const used = [](auto const& entry) { return entry.second->load(std::memory_order_relaxed); };
    auto const before = usedToSend_.find(identity);
    // One that is only waiting to be forgotten takes a place like a new one.
    bool const known = before != usedToSend_.end() && used(*before);
    if (!known && usedToSend_.size() >= maxRetired &&
        std::count_if(usedToSend_.begin(), usedToSend_.end(), used) >= static_cast<long>(maxRetired)) {
      return Refusal::rekeys;
    }
    Refusal const refusal = checkKey(suite, plan.send);
    if (refusal != Refusal::none) return refusal;
  }
  if (!newReceiving) return Refusal::none;
  if (earlier_.empty() || earlier_ != askedReceiving_) {
    size_t forgotten = 0;
    for (Terms const& terms : askedReceiving_) forgotten += 1 - usedToReceive_.count(terms.identity);
    if (usedToReceive_.size() + forgotten > maxRetired) return Refusal::rekeys;
  }
  // RFC 4568 6.1: several keys in one line need an MKI each, all of one length; else no receiver could tell them apart.
  if (plan.receive.empty() || plan.receive.size() > maxReceiveKeys) return Refusal::keys;
  for (size_t at = 0; at < plan.receive.size(); at++) {
    if (plan.receive[at].mkiLength != plan.receive[0].mkiLength) return Refusal::keys;
    for (size_t before = 0; before < at; before++) {
      if (askedReceiving_[before].mki == askedReceiving_[at].mki) return Refusal::keys;
    }
  }
  for (KeyPlan const& key : plan.receive) {
    Refusal const refusal = checkKey(suite, key);
    if (refusal != Refusal::none) return refusal;
  }
  return Refusal::none;
}

Refusal Ledger::checkKey(Suite const& suite, KeyPlan const& plan) const {
  if (plan.masterLength != suite.masterLength()) return Refusal::keyLength;
  if (plan.mkiLength > maxMki) return Refusal::keys;
  return plan.lifetime > srtpLifetime ? Refusal::lifetime : Refusal::none;
}

void Ledger::settle() {
  if (unsettled_ > 0) unsettled_ -= 1;
  if (unsettled_ == 0) forgetUnused();
}

void Ledger::forgetUnused() {
  for (auto entry = usedToSend_.begin(); entry != usedToSend_.end();) {
    if (entry->second->load(std::memory_order_relaxed)) {
      ++entry;
      continue;
    }
    if (!isSending_ || !(sending_.identity == entry->first)) sendKeys_.forget(entry->first);
    entry = usedToSend_.erase(entry);
  }
}

void Ledger::close() {
  retireSending();
  forgetUnused();
  for (auto const& entry : usedToSend_) sendKeys_.retire(entry.first);
  usedToSend_.clear();
  usedToReceive_.clear();
  receiving_.clear();
  earlier_.clear();
}

void Ledger::endOverlap() { remember(earlier_); }

void Ledger::remember(std::vector<Terms>& receiving) {
  for (Terms const& terms : receiving) usedToReceive_.insert(terms.identity);
  receiving.clear();
}

void Ledger::retireSending() {
  if (!isSending_) return;
  usedToSend_[sending_.identity] = sendingUsed_;
  isSending_ = false;
}

}  // namespace sallyport
