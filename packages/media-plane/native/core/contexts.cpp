// See contexts.hpp.
#include "contexts.hpp"

#include <utility>

#include "ledger.hpp"

namespace sallyport {
namespace {

/** Which failures of the new key say "perhaps it was sent under the old one". */
bool perhapsOld(Failure failure) noexcept {
  switch (failure) {
    case Failure::authentication:
    case Failure::mki:
    case Failure::replay:
    case Failure::tooOld:
    case Failure::tooShort:
      return true;
    default:
      return false;
  }
}

Failure unprotectWith(Receiving& receiving, bool rtcp, Ciphers& ciphers, uint8_t* packet, size_t& length,
                      ReceiveNews& news) noexcept {
  return rtcp ? unprotectRtcp(receiving, ciphers, packet, length, news)
              : unprotectRtp(receiving, ciphers, packet, length, news);
}

}  // namespace

Contexts::Contexts() = default;
Contexts::~Contexts() = default;

void Contexts::noteSlots() noexcept {
  receiveSlot_ = receiving_ == nullptr ? nullptr : receiving_->first.slot;
  sendSlot_ = sending_ == nullptr ? nullptr : sending_->key.slot;
}

bool Contexts::apply(Update& update, uint64_t nowNs) {
  bool retired = expire(nowNs);
  if (update.protection != Protection::srtp) {
    retired = retired || sending_ != nullptr || receiving_ != nullptr || earlier_ != nullptr;
    retireSending();
    retire(receiving_);
    retire(earlier_);
    noteSlots();
    return retired;
  }
  shortest_ = update.shortest;
  if (update.sending != nullptr && (sending_ == nullptr || !(sending_->terms == update.sending->terms))) {
    retired = retired || sending_ != nullptr;
    installSending(update.sending);
  }
  if (update.receiving != nullptr && (receiving_ == nullptr || receiving_->terms != update.receiving->terms)) {
    retired = installReceiving(update.receiving, nowNs) || retired;
  }
  noteSlots();
  return retired;
}

void Contexts::installSending(std::unique_ptr<Sending>& next) {
  Identity const identity = next->terms.identity;
  // A key under other terms, or one that comes back, goes on where it stopped.
  if (sending_ != nullptr && sending_->terms.identity == identity) {
    next->resume(sending_->indices());
  } else if (usedToSend_ != nullptr) {
    auto const before = usedToSend_->find(identity);
    if (before != usedToSend_->end()) next->resume(*before->second);
  }
  retireSending();
  if (hasSent_) changes_ += 1;
  hasSent_ = true;
  sending_ = std::move(next);
}

/** True when a key was retired at once, without an overlap. */
bool Contexts::installReceiving(std::unique_ptr<Receiving>& next, uint64_t nowNs) {
  std::unique_ptr<Receiving> install;
  bool retired = false;
  if (earlier_ != nullptr && earlier_->terms == next->terms) {
    // It comes back within the overlap and has its own contexts still.
    install = std::move(earlier_);
  } else {
    next->resume(verifiedUnder(*next));
    if (receiving_ != nullptr) next->follow(receiving_->reached());
    install = std::move(next);
    retired = earlier_ != nullptr;
    retire(earlier_);
  }
  std::unique_ptr<Receiving> replaced = std::exchange(receiving_, std::move(install));
  if (replaced == nullptr) return retired;
  changes_ += 1;
  // One key in two receivers (another MKI or suite) would be two replay lists: then there is no overlap.
  if (replaced->sharesKeyWith(receiving_->terms)) {
    retire(replaced);
    return true;
  }
  earlier_ = std::move(replaced);
  earlierUntilNs_ = nowNs + overlapNs;
  return retired;
}

Failure Contexts::unprotect(bool rtcp, Ciphers& ciphers, uint8_t* packet, size_t& length, uint64_t nowNs,
                            ReceiveNews& news) noexcept {
  Failure const failure = unprotectWith(*receiving_, rtcp, ciphers, packet, length, news);
  if (failure == Failure::none || earlier_ == nullptr || nowNs >= earlierUntilNs_ || !perhapsOld(failure)) {
    return failure;
  }
  // No MKI tells which key a packet was sent under: the tag does.
  Failure const before = unprotectWith(*earlier_, rtcp, ciphers, packet, length, news);
  return before == Failure::none ? before : failure;
}

bool Contexts::expire(uint64_t nowNs) {
  if (earlier_ == nullptr || nowNs < earlierUntilNs_) return false;
  retire(earlier_);
  return true;
}

void Contexts::close() {
  sending_ = nullptr;
  receiving_ = nullptr;
  earlier_ = nullptr;
  usedToSend_ = nullptr;
  usedToReceive_ = nullptr;
  noteSlots();
}

/** The highest indices verified under any of these keys, now or before: a key that comes back lets nothing be replayed. */
Indices Contexts::verifiedUnder(Receiving& next) {
  Indices highest;
  if (usedToReceive_ != nullptr) {
    for (Terms const& terms : next.terms) {
      auto const before = usedToReceive_->find(terms.identity);
      if (before != usedToReceive_->end()) mergeIndices(highest, *before->second);
    }
  }
  for (Receiving* const live : {receiving_.get(), earlier_.get()}) {
    if (live != nullptr && live->sharesKeyWith(next.terms)) mergeIndices(highest, live->indices());
  }
  return highest;
}

void Contexts::retireSending() {
  if (sending_ == nullptr) return;
  // A key that protected nothing is as good as new.
  if (sending_->sources.size() > 0) {
    if (usedToSend_ == nullptr) usedToSend_ = std::make_unique<History>();
    (*usedToSend_)[sending_->terms.identity] = std::make_shared<Indices const>(sending_->indices());
  }
  sending_ = nullptr;
}

void Contexts::retire(std::unique_ptr<Receiving>& receiving) {
  if (receiving == nullptr) return;
  if (usedToReceive_ == nullptr) usedToReceive_ = std::make_unique<History>();
  auto const indices = std::make_shared<Indices const>(receiving->indices());
  for (Terms const& terms : receiving->terms) (*usedToReceive_)[terms.identity] = indices;
  receiving = nullptr;
}

}  // namespace sallyport
