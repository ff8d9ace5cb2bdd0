// The door of the core: one leg, and the path of a packet through it. The rules and their order are those of
// packages/media-plane/src/portable/leg.ts (invariants 3, 4, 9). Knows no socket, no thread and no clock.
//
// Who may call what. CONTROL is one thread (JavaScript's); PACKETS is the thread both legs of a pair belong to.
//   CONTROL  Ledger::prepare(change) -> Update (keys derived, memory taken; or a Refusal and nothing has changed)
//   PACKETS  leg.apply(update): takes effect for the next packet, cannot fail
//   CONTROL  Ledger::settle() once it was applied, and delete it
// A Leg is made and deleted where its thread does not touch it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "address.hpp"
#include "contexts.hpp"
#include "counters.hpp"
#include "events.hpp"
#include "latch.hpp"
#include "ledger.hpp"
#include "plan.hpp"
#include "police.hpp"
#include "statistics.hpp"
#include "watch.hpp"
#include "worker.hpp"

namespace sallyport {

/** A flow has its own port and its own latch; with rtcp-mux RTCP is in the RTP flow. */
enum class Flow : uint8_t { rtp = 0, rtcp = 1 };

enum class Verdict : uint8_t { drop = 0, send = 1 };

/** What to send on `Verdict::send`: `length` octets from the start of the buffer given to `receive`. */
struct Outgoing {
  /** The leg whose socket sends, the joined one; `leg->sendError()` when it cannot. */
  class Leg* leg;
  Address to;
  size_t length;
  Flow flow;
  uint8_t dscp;
};

/** Octets a buffer must have beyond a datagram: SRTCP word, MKI, tag (RFC 3711 3.4, RFC 7714 9). */
inline constexpr size_t maxGrowth = 4 + maxMki + 16;

class alignas(64) Leg {
 public:
  /** `worker` and `counters` outlive the leg; `counters` may be shared memory and is written by PACKETS alone. */
  Leg(uint32_t id, Worker& worker, Counters& counters) noexcept;
  ~Leg();
  Leg(Leg const&) = delete;
  Leg& operator=(Leg const&) = delete;

  /** PACKETS. The first one opens the leg (`fields` is `allFields`). */
  void apply(Update& update, uint64_t nowNs) noexcept;

  /** PACKETS. What one receives the other sends; legs joined elsewhere are taken from there. Both of one Worker. */
  static void join(Leg& a, Leg& b) noexcept;
  /** PACKETS. The joined leg, if any, is joined no more. */
  void part() noexcept {
    if (peer_ != nullptr) peer_->peer_ = nullptr;
    peer_ = nullptr;
  }
  /** PACKETS of the new worker, while no packet is under way: another thread has taken the leg over. */
  void rehome(Worker& worker) noexcept { worker_ = &worker; }
  /** PACKETS. Leaves the joined leg and drops every key; every later packet is dropped without being counted. */
  void close() noexcept;

  /** PACKETS. Reports silence (H.248.40) and ends overlaps; to be called at or after `deadline()`. */
  void tick(uint64_t nowNs) noexcept;
  /** When `tick` is due, UINT64_MAX for never. A packet may move it later: then `tick` does nothing. */
  uint64_t deadline() const noexcept;

  /**
   * PACKETS. For engines that know which legs the next packets are for: fetches what `receive` will need, in three steps
   * of which each reads what the one before fetched. Done one, two and three packets ahead it hides the way to memory.
   */
  void warm() const noexcept { Contexts::warm(this, 8); }
  void warmContexts() const noexcept {
    Contexts::warm(counters_, 2);
    Contexts::warm(peer_, 5);
    contexts_.warmReceiving();
  }
  void warmPeer() const noexcept {
    if (peer_ == nullptr) return;
    Contexts::warm(peer_->counters_, 1);
    peer_->contexts_.warmSending();
  }

  /** PACKETS. What `receive` said to send could not be sent. */
  void sendError() noexcept { counters_->sendErrors.add(1); }

  uint32_t id() const noexcept { return id_; }
  Leg* peer() const noexcept { return peer_; }
  Counters const& counters() const noexcept { return *counters_; }
  uint8_t dscp() const noexcept { return dscp_; }

  friend Verdict receive(Leg& from, Flow flow, uint8_t* octets, size_t length, size_t capacity, Address const& source,
                         uint64_t nowNs, Outgoing& out) noexcept;

 private:
  struct Packet;
  Verdict take(Packet& packet) noexcept;
  Verdict takeTransparent(Packet& packet) noexcept;
  Verdict takeProtected(Packet& packet) noexcept;
  Verdict takeClear(Packet& packet) noexcept;
  Verdict handOver(Packet& packet) noexcept;
  Verdict sendProtected(Packet& packet) noexcept;
  Verdict send(Packet& packet) noexcept;
  void accept(Packet const& packet, size_t arrived) noexcept;
  bool passes(Packet const& packet) const noexcept;
  void refused(Packet const& packet, Failure failure) noexcept;
  void unverified(Packet const& packet, Failure failure) noexcept;
  void raise(Alarm alarm, uint64_t nowNs) noexcept;
  void expiring(Direction direction) noexcept;
  bool receives() const noexcept { return mode_ == Mode::sendReceive || mode_ == Mode::receiveOnly; }
  bool sends() const noexcept { return mode_ == Mode::sendReceive || mode_ == Mode::sendOnly; }

  struct FlowState {
    Latch latch;
    /** The signalled destination. */
    Address remote;
  };
  struct AlarmState {
    uint64_t atNs = 0;
    uint64_t pending = 0;
    bool raised = false;
  };

  // Hot: what each packet needs stands first.
  Leg* peer_ = nullptr;
  Worker* worker_;
  Counters* counters_;
  uint32_t id_;
  Protection protection_ = Protection::awaitingKeys;
  Mode mode_ = Mode::inactive;
  bool rtcpMux_ = false;
  bool open_ = false;
  bool filtered_ = false;
  bool policed_ = false;
  uint8_t dscp_ = 0;
  /** The one clear probe a leg may get without an alarm has come. */
  bool probed_ = false;
  Contexts contexts_;
  Watch watch_;
  FlowState flows_[2];
  Reception reception_;
  // Cold.
  uint64_t inactivityNs_ = 0;
  SourceFilter filter_;
  Policing policing_;
  Police police_;
  RoundTrip roundTrip_;
  AlarmState alarms_[alarmKinds];
};

/**
 * PACKETS. Decides over one datagram in place, as `Leg.receive` of the portable engine does. `capacity` is what the buffer
 * holds, `length + maxGrowth` or more. On `send` the engine sends `out.length` octets from `out.leg`'s socket of
 * `out.flow`; on `drop` the octets are of no use any more. Time never goes back.
 */
Verdict receive(Leg& from, Flow flow, uint8_t* octets, size_t length, size_t capacity, Address const& source,
                uint64_t nowNs, Outgoing& out) noexcept;

}  // namespace sallyport
