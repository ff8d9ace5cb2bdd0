// The path of a packet through a leg; see leg.hpp:
// filter -> police -> classify -> source -> unprotect -> learn -> mode -> the joined leg -> protect -> send.
#include "leg.hpp"

#include "clear.hpp"
#include "packet.hpp"

namespace sallyport {

struct Leg::Packet {
  uint8_t* octets;
  size_t length;
  size_t capacity;
  Address const& source;
  uint64_t nowNs;
  Flow flow;
  Kind kind;
  Outgoing& out;

  bool isMedia() const noexcept { return kind == Kind::rtp || kind == Kind::rtcp; }
};

namespace {

constexpr uint64_t alarmEveryNs = 10'000'000'000;

Verdict drop(Counter& counter) noexcept {
  counter.add(1);
  return Verdict::drop;
}

}  // namespace

Leg::Leg(uint32_t id, Worker& worker, Counters& counters) noexcept
    : worker_(&worker), counters_(&counters), id_(id) {}

Leg::~Leg() { close(); }

void Leg::apply(Update& update, uint64_t nowNs) noexcept {
  LegValues const& values = update.values;
  uint32_t const fields = values.fields;
  if ((fields & fieldProtection) != 0) {
    protection_ = update.protection;
    if (contexts_.apply(update, nowNs)) worker_->ciphers.forget();
    counters_->keyChanges.set(contexts_.changes());
    counters_->sources.set(contexts_.sources());
  }
  if ((fields & fieldRemote) != 0) {
    Remote const& remote = values.remote;
    bool const moved = flows_[0].remote != remote.rtp || flows_[1].remote != remote.rtcp;
    flows_[0].remote = remote.rtp;
    flows_[1].remote = remote.rtcp;
    if (moved) {
      for (FlowState& flow : flows_) flow.latch.remoteMoved();
    }
  }
  if ((fields & fieldLatch) != 0) {
    for (FlowState& flow : flows_) flow.latch.apply(values.latch);
  }
  if ((fields & fieldRtcp) != 0) rtcpMux_ = values.rtcpMux;
  if ((fields & fieldDscp) != 0) dscp_ = values.dscp;
  if ((fields & fieldFilter) != 0) {
    filtered_ = values.filtered;
    filter_ = values.filter;
  }
  // The same policing again leaves its buckets as they are.
  if ((fields & fieldPolicing) != 0 && (policed_ != values.policed || !(policing_ == values.policing))) {
    policed_ = values.policed;
    policing_ = values.policing;
    police_ = Police(policing_, worker_->milliseconds(nowNs));
  }
  if ((fields & fieldMode) != 0) mode_ = values.mode;
  if ((fields & fieldInactivity) != 0) inactivityNs_ = values.inactivityNs;
  if ((fields & (fieldMode | fieldInactivity)) != 0) watch_.start(inactivityNs_, receives(), sends(), nowNs);
  open_ = true;
}

void Leg::join(Leg& a, Leg& b) noexcept {
  for (Leg* const leg : {&a, &b}) {
    if (leg->peer_ != nullptr) leg->peer_->peer_ = nullptr;
  }
  a.peer_ = &b;
  b.peer_ = &a;
}

void Leg::close() noexcept {
  if (peer_ != nullptr) peer_->peer_ = nullptr;
  peer_ = nullptr;
  if (!open_) return;
  open_ = false;
  watch_.stop();
  contexts_.close();
  worker_->ciphers.forget();
}

void Leg::tick(uint64_t nowNs) noexcept {
  if (contexts_.expire(nowNs)) worker_->ciphers.forget();
  for (Direction const direction : {Direction::in, Direction::out}) {
    if (!watch_.due(direction, nowNs)) continue;
    worker_->events.push({id_, EventKind::inactive, static_cast<uint8_t>(direction), 0, 0});
  }
}

uint64_t Leg::deadline() const noexcept {
  uint64_t const silence = watch_.deadline();
  uint64_t const overlap = contexts_.deadline();
  return silence < overlap ? silence : overlap;
}

Verdict receive(Leg& from, Flow flow, uint8_t* octets, size_t length, size_t capacity, Address const& source,
                uint64_t nowNs, Outgoing& out) noexcept {
  if (!from.open_) return Verdict::drop;
  Leg::Packet packet{octets, length, capacity, source, nowNs, flow, Kind::unknown, out};
  return from.take(packet);
}

Verdict Leg::take(Packet& packet) noexcept {
  // Port 0 may stand in a UDP header, but nothing can be sent there: never learn it.
  if (packet.source.port == 0) return drop(counters_->sourceDropped);
  if (filtered_ && !allows(filter_, packet.flow == Flow::rtcp, packet.source)) return drop(counters_->filtered);
  if (policed_ && !police_.conforms(packet.length, worker_->milliseconds(packet.nowNs))) return drop(counters_->policed);
  packet.kind = classify(packet.octets, packet.length, packet.flow == Flow::rtp && !rtcpMux_);
  if (protection_ == Protection::transparent) return takeTransparent(packet);
  // RFC 7983: what is not RTP or RTCP must never come to the SRTP check, nor to the other side.
  if (packet.kind == Kind::stun) return drop(counters_->stunDropped);
  if (packet.kind == Kind::dtls) return drop(counters_->dtlsDropped);
  if (packet.kind == Kind::unknown) return drop(counters_->malformed);
  // Without mux each protocol has its port; with mux nothing is due on the odd one (RFC 5761 4).
  bool const due = rtcpMux_ ? packet.flow == Flow::rtp : (packet.kind == Kind::rtcp) == (packet.flow == Flow::rtcp);
  if (!due) return drop(counters_->otherDropped);
  switch (protection_) {
    case Protection::srtp:
      return takeProtected(packet);
    case Protection::clear:
      return takeClear(packet);
    default:
      return drop(counters_->awaitingKeysDropped);
  }
}

Verdict Leg::takeTransparent(Packet& packet) noexcept {
  FlowState& flow = flows_[static_cast<unsigned>(packet.flow)];
  if (!flow.latch.hears(flow.remote, packet.source)) return drop(counters_->sourceDropped);
  flow.latch.learn(packet.source);
  accept(packet, packet.length);
  if (peer_ == nullptr || peer_->protection_ != Protection::transparent) return drop(counters_->otherDropped);
  if (!passes(packet)) return drop(counters_->modeDropped);
  return peer_->send(packet);
}

Verdict Leg::takeProtected(Packet& packet) noexcept {
  if (!contexts_.canOpen()) return drop(counters_->awaitingKeysDropped);
  size_t const arrived = packet.length;
  ReceiveNews news;
  Failure const failure = contexts_.unprotect(packet.kind == Kind::rtcp, worker_->ciphers, packet.octets, packet.length,
                                              packet.nowNs, news);
  if (failure != Failure::none) {
    refused(packet, failure);
    return Verdict::drop;
  }
  if (news.rocTrial) counters_->rocTrials.add(1);
  if (news.expiring) expiring(Direction::in);
  counters_->sources.set(contexts_.sources());
  // Invariant 3: only here, after the tag, may the source be learned.
  flows_[static_cast<unsigned>(packet.flow)].latch.learn(packet.source);
  accept(packet, arrived);
  return handOver(packet);
}

Verdict Leg::takeClear(Packet& packet) noexcept {
  if (packet.kind == Kind::rtp && rtpHeaderLength(packet.octets, packet.length) == 0) return drop(counters_->malformed);
  FlowState& flow = flows_[static_cast<unsigned>(packet.flow)];
  if (!flow.latch.hears(flow.remote, packet.source)) return drop(counters_->sourceDropped);
  flow.latch.learn(packet.source);
  accept(packet, packet.length);
  return handOver(packet);
}

/** A clear packet on its way to the joined leg. */
Verdict Leg::handOver(Packet& packet) noexcept {
  if (peer_ == nullptr) return drop(counters_->otherDropped);
  if (!passes(packet)) return drop(counters_->modeDropped);
  switch (peer_->protection_) {
    case Protection::clear:
      if (packet.kind == Kind::rtcp) {
        peer_->roundTrip_.left(packet.octets, packet.length, worker_->milliseconds(packet.nowNs));
      }
      return peer_->send(packet);
    case Protection::srtp:
      return peer_->sendProtected(packet);
    case Protection::awaitingKeys:
      return drop(peer_->counters_->awaitingKeysDropped);
    case Protection::transparent:
      break;
  }
  return drop(peer_->counters_->otherDropped);
}

Verdict Leg::sendProtected(Packet& packet) noexcept {
  if (!contexts_.canSeal()) return drop(counters_->awaitingKeysDropped);
  SendNews news;
  Failure failure;
  if (packet.kind == Kind::rtp) {
    failure = contexts_.protect(worker_->ciphers, packet.octets, packet.length, packet.capacity, packet.nowNs, news);
  } else {
    uint32_t index = 0;
    Sending& sending = contexts_.sending();
    failure = admitRtcp(sending, packet.octets, packet.length, packet.capacity, index, news);
    if (failure == Failure::none) {
      roundTrip_.left(packet.octets, packet.length, worker_->milliseconds(packet.nowNs));
      failure = sealAdmitted(sending, worker_->ciphers, packet.octets, packet.length, index);
    }
  }
  if (news.carriedForward) counters_->carriedForward.add(1);
  if (failure != Failure::none) {
    refused(packet, failure);
    return Verdict::drop;
  }
  if (news.expiring) expiring(Direction::out);
  return send(packet);
}

Verdict Leg::send(Packet& packet) noexcept {
  // Media goes by its kind, what is neither RTP nor RTCP by the port it came to.
  Flow const own = packet.kind == Kind::rtp ? Flow::rtp : packet.kind == Kind::rtcp ? Flow::rtcp : packet.flow;
  Flow const way = rtcpMux_ ? Flow::rtp : own;
  FlowState const& flow = flows_[static_cast<unsigned>(way)];
  Address const& to = flow.latch.learned().family != 0 ? flow.latch.learned() : flow.remote;
  if (to.family == 0 || to.port == 0 || !open_) return drop(counters_->otherDropped);
  if (packet.kind == Kind::rtp) counters_->rtpOut.add(1);
  else if (packet.kind == Kind::rtcp) counters_->rtcpOut.add(1);
  else counters_->otherOut.add(1);
  counters_->octetsOut.add(packet.length);
  watch_.touched(Direction::out, packet.nowNs);
  packet.out = {this, to, packet.length, way, dscp_};
  return Verdict::send;
}

/** `arrived` octets came; the packet is open now. What is transparent may be sealed behind its header. */
void Leg::accept(Packet const& packet, size_t arrived) noexcept {
  Counters& counters = *counters_;
  if (packet.kind == Kind::rtp) {
    counters.rtpIn.add(1);
    reception_.arrived(packet.octets, worker_->milliseconds(packet.nowNs));
    counters.lost.set(reception_.lost());
    counters.jitter.set(reception_.jitter());
  } else if (packet.kind == Kind::rtcp) {
    counters.rtcpIn.add(1);
    if (protection_ != Protection::transparent) {
      roundTrip_.came(packet.octets, packet.length, worker_->milliseconds(packet.nowNs));
      counters.roundTripMs.set(roundTrip_.ms());
    }
  } else {
    counters.otherIn.add(1);
  }
  counters.octetsIn.add(arrived);
  counters.lastPacketAt.set(packet.nowNs);
  watch_.touched(Direction::in, packet.nowNs);
}

bool Leg::passes(Packet const& packet) const noexcept {
  if (mode_ == Mode::inactive || peer_->mode_ == Mode::inactive) return false;
  // RFC 3264 5.1: RTCP goes on.
  return packet.kind == Kind::rtcp || (receives() && peer_->sends());
}

void Leg::refused(Packet const& packet, Failure failure) noexcept {
  switch (failure) {
    case Failure::sources:
      return counters_->sourcesRefused.add(1);
    case Failure::lifetime:
      raise(Alarm::lifetime, packet.nowNs);
      return counters_->lifetimeDropped.add(1);
    case Failure::indexReuse:
      raise(Alarm::indexReuse, packet.nowNs);
      return counters_->indexReuse.add(1);
    case Failure::released:
      return counters_->awaitingKeysDropped.add(1);
    case Failure::resources:
      return counters_->otherDropped.add(1);
    // A clear packet may show any number, one of before too.
    default:
      return unverified(packet, failure);
  }
}

void Leg::unverified(Packet const& packet, Failure failure) noexcept {
  bool const clear =
      packet.kind == Kind::rtcp
          ? looksClearRtcp(packet.octets, packet.length)
          : looksClearRtp(packet.octets, packet.length, rtpHeaderLength(packet.octets, packet.length),
                          contexts_.shortest());
  if (clear) {
    // Phones probe the path with one APP packet before they protect: no more than that is not media in the clear.
    bool const probe = !probed_ && packet.kind == Kind::rtcp && isLoneApp(packet.octets, packet.length);
    if (probe) probed_ = true;
    else raise(Alarm::clearOnProtected, packet.nowNs);
    return counters_->clearDropped.add(1);
  }
  if (failure == Failure::replay || failure == Failure::tooOld) return counters_->replays.add(1);
  if (failure == Failure::tooShort || failure == Failure::malformed) return counters_->malformed.add(1);
  raise(Alarm::authentication, packet.nowNs);
  counters_->authenticationFailures.add(1);
}

/** At the first occurrence and then at most every ten seconds: a flood of packets is one event. */
void Leg::raise(Alarm alarm, uint64_t nowNs) noexcept {
  AlarmState& state = alarms_[static_cast<unsigned>(alarm)];
  state.pending += 1;
  if (state.raised && nowNs - state.atNs < alarmEveryNs) return;
  worker_->events.push({id_, EventKind::alarm, static_cast<uint8_t>(alarm), 0, state.pending});
  state = {nowNs, 0, true};
}

void Leg::expiring(Direction direction) noexcept {
  worker_->events.push({id_, EventKind::keyExpiring, static_cast<uint8_t>(direction), 0, 0});
}

}  // namespace sallyport
