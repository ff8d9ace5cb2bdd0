// Owns the SRTP contexts of one leg over all its key changes: what is in force, what overlaps, and which indices were used
// under keys that are gone, should one come back (invariants 4 and 5). PACKETS only; as portable/contexts.ts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "cipher.hpp"
#include "failure.hpp"
#include "identity.hpp"
#include "indices.hpp"
#include "receiver.hpp"
#include "sender.hpp"

namespace sallyport {

struct Update;

inline constexpr uint64_t overlapNs = 3'000'000'000;

class Contexts {
 public:
  Contexts();
  ~Contexts();
  Contexts(Contexts const&) = delete;
  Contexts& operator=(Contexts const&) = delete;

  /** Protection has changed: takes the new keys out of `update`. True when a key was retired, which is zeroised then. */
  bool apply(Update& update, uint64_t nowNs);

  bool canOpen() const noexcept { return receiving_ != nullptr; }
  bool canSeal() const noexcept { return sending_ != nullptr; }

  /** `rtcp` tells which. In place; on a failure the packet is as it was. */
  Failure unprotect(bool rtcp, Ciphers& ciphers, uint8_t* packet, size_t& length, uint64_t nowNs,
                    ReceiveNews& news) noexcept;
  Failure protect(Ciphers& ciphers, uint8_t* packet, size_t& length, size_t capacity, uint64_t nowNs,
                  SendNews& news) noexcept {
    return protectRtp(*sending_, ciphers, jumps_, nowNs, packet, length, capacity, news);
  }
  Sending& sending() noexcept { return *sending_; }

  /** Fetches what the next packet to open, or to seal, will need: a load that is not waited for. */
  void warmReceiving() const noexcept {
    warm(receiving_.get(), 4);
    warm(receiveSlot_, 2);
  }
  void warmSending() const noexcept {
    warm(sending_.get(), 3);
    warm(sendSlot_, 2);
  }
  static void warm(void const* at, unsigned lines) noexcept {
    if (at == nullptr) return;
    for (unsigned line = 0; line < lines; line++) {
      char const* const place = static_cast<char const*>(at) + 64 * line;
      __builtin_prefetch(place, 1);
      // A function that only fetches ahead has no effect in g++'s eyes, and its calls are left out.
      asm volatile("" : : "r"(place));
    }
  }

  /** When the overlap ends, UINT64_MAX where there is none. */
  uint64_t deadline() const noexcept { return earlier_ == nullptr ? UINT64_MAX : earlierUntilNs_; }
  /** Ends an overlap whose time has come: its keys are zeroised. True when there was one. */
  bool expire(uint64_t nowNs);
  /** Every key is zeroised. */
  void close();

  /** Changes of the receive or send key after the first. */
  uint64_t changes() const noexcept { return changes_; }
  uint32_t sources() const noexcept { return receiving_ == nullptr ? 0 : receiving_->sources.size(); }
  /** Octets below which a packet cannot be SRTP of the suite in force. */
  size_t shortest() const noexcept { return shortest_; }

 private:
  void installSending(std::unique_ptr<Sending>& next);
  bool installReceiving(std::unique_ptr<Receiving>& next, uint64_t nowNs);
  Indices verifiedUnder(Receiving& next);
  void retireSending();
  void noteSlots() noexcept;
  void retire(std::unique_ptr<Receiving>& receiving);

  using History = std::unordered_map<Identity, std::shared_ptr<Indices const>, IdentityHash>;

  std::unique_ptr<Receiving> receiving_;
  std::unique_ptr<Sending> sending_;
  /** The slots of both, so that a packet's keys can be fetched before its contexts have come. */
  KeySlot const* receiveSlot_ = nullptr;
  KeySlot const* sendSlot_ = nullptr;
  std::unique_ptr<Receiving> earlier_;
  uint64_t earlierUntilNs_ = 0;
  size_t shortest_ = 0;
  uint64_t changes_ = 0;
  bool hasSent_ = false;
  Jumps jumps_;
  std::unique_ptr<History> usedToSend_;
  std::unique_ptr<History> usedToReceive_;
};

}  // namespace sallyport
