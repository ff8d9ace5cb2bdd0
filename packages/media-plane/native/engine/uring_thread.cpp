#include "uring_thread.hpp"
#include <algorithm>
#include <cerrno>

namespace sallyport {
namespace {

/** Datagrams tried for of one socket in one round. */
constexpr unsigned mostTries = 64;

}  // namespace

bool UringThread::prepare(std::string& why) {
  if (!EpollThread::prepare(why) || !ring_.open(settings_.buffers, 2 * settings_.buffers, why)) return false;
  const unsigned files = settings_.fixedFiles;
  if (files > 0 && ring_.sparseFiles(files)) {
    freeFiles_.reserve(files);
    for (unsigned file = files; file-- > 0;) freeFiles_.push_back(static_cast<int32_t>(file));
  }
  places_.resize(settings_.buffers);
  octets_.reset(new uint8_t[settings_.buffers * apart]);
  for (unsigned at = 0; at < places_.size(); ++at) {
    Place& place = places_[at];
    place.part = {octetsOf(at), octetsEach};
    place.message = {};
    place.message.msg_name = &place.name;
    place.message.msg_iov = &place.part;
    place.message.msg_iovlen = 1;
  }
  return true;
}

void UringThread::leave(Wire& wire) {
  EpollThread::leave(wire);
  if (wire.file >= 0) {
    ring_.setFile(static_cast<unsigned>(wire.file), -1);
    freeFiles_.push_back(wire.file);
  }
  wire.file = Wire::unused;
}

bool UringThread::keeps(Slot const& slot) const {
  for (Port const& port : slot.ports) {
    for (Wire const& wire : port.wires) {
      if (wire.file >= 0) return true;
    }
  }
  return false;
}

/** A socket that is used is fixed: the ring need not look it up then. Many never are. */
uring::Sqe& UringThread::next(Wire& wire) {
  if (wire.file == Wire::unused) {
    wire.file = Wire::notFixed;
    if (!freeFiles_.empty() && ring_.setFile(static_cast<unsigned>(freeFiles_.back()), wire.fd)) {
      wire.file = freeFiles_.back();
      freeFiles_.pop_back();
    }
  }
  uring::Sqe& sqe = *ring_.next();
  sqe.flags = wire.file >= 0 ? uring::sqeFixedFile : 0;
  sqe.fd = wire.file >= 0 ? wire.file : wire.fd;
  return sqe;
}

/** Epoll does not tell how many wait: one, unless there were more a moment ago. An attempt in vain costs a third of one that is not. */
void UringThread::fetch(Wire& wire) {
  const bool again = wire.round == round_ - 1 && wire.tries > 0;
  const unsigned grown = wire.got < wire.tries ? wire.got : wire.tries + wire.tries / 2u + 1;
  const unsigned tries = again ? std::clamp(grown, 1u, mostTries) : 1;
  wire.round = round_;
  wire.tries = static_cast<uint8_t>(tries);
  wire.got = 0;
  const bool connected = &wire == &wire.port->wires[1];
  for (unsigned left = tries; left > 0; --left) {
    if (used_ == places_.size()) return stats_.buffersExhausted.add(1);
    Place& place = places_[used_];
    place.wire = &wire;
    uring::Sqe& sqe = next(wire);
    if (connected) {
      // It hears nobody else: there is no name to ask for.
      sqe.opcode = uring::opReceive;
      sqe.addr = reinterpret_cast<uint64_t>(octetsOf(used_));
      sqe.len = octetsEach;
    } else {
      place.message.msg_namelen = sizeof place.name;
      sqe.opcode = uring::opRecvmsg;
      sqe.addr = reinterpret_cast<uint64_t>(&place.message);
      sqe.len = 1;
    }
    sqe.opFlags = MSG_DONTWAIT;
    sqe.userData = used_++;
  }
}

void UringThread::workOff() {
  ++round_;
  used_ = 0;
  eachReady([this](Wire& wire) { fetch(wire); });
  if (used_ == 0) return;
  ring_.submit();
  ring_.reap(used_, [this](uring::Cqe const& cqe) { places_[cqe.userData].length = cqe.result; });
  for (unsigned place = 0; place < used_; ++place) {
    warm(place);
    fetched(place);
  }
  send();
}

/** Nothing of a thousand calls is in the cache any more when its turn comes: what the next packets need is fetched meanwhile. */
void UringThread::warm(unsigned place) const {
  const auto slotAt = [this, place](unsigned ahead) -> Slot const* {
    return place + ahead < used_ ? places_[place + ahead].wire->port->slot : nullptr;
  };
  if (place + 4 < used_) Contexts::warm(octetsOf(place + 4), 4);
  if (Slot const* slot = slotAt(3)) slot->warm();
  if (Slot const* slot = slotAt(2)) slot->warmContexts();
  if (Slot const* slot = slotAt(1)) {
    slot->warmPeer();
    if (Leg const* peer = slot->peer()) static_cast<Slot const*>(peer)->ports[0].warm();
  }
}

void UringThread::fetched(unsigned at) {
  Place const& place = places_[at];
  Wire& wire = *place.wire;
  Port& port = *wire.port;
  if (place.length < 0) {
    if (place.length == -ECONNREFUSED) refusedBy(port);
    return;
  }
  ++wire.got;
  ++packets_;
  const auto length = static_cast<size_t>(place.length);
  // What did not fit fills the place.
  if (length + maxGrowth > octetsEach) return stats_.oversized.add(1);
  Address source;
  if (&wire == &port.wires[1]) source = port.peer;
  else fromSystem(place.name, source);
  Outgoing out;
  if (receive(*port.slot, port.flow, octetsOf(at), length, octetsEach, source, nowNs_, out) != Verdict::send) return;
  queueSend(at, static_cast<Slot*>(out.leg)->ports[static_cast<unsigned>(out.flow)], out);
}

void UringThread::queueSend(unsigned place, Port& through, Outgoing const& out) {
  uring::Sqe& sqe = next(wireFor(through, out.to));
  sqe.opcode = uring::opSend;
  sqe.flags |= uring::sqeSkipSuccess;
  sqe.addr = reinterpret_cast<uint64_t>(octetsOf(place));
  sqe.len = static_cast<uint32_t>(out.length);
  sqe.opFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (!through.connected) {
    // The name it came with has been read.
    SocketAddress& name = places_[place].name;
    sqe.addr2 = reinterpret_cast<uint64_t>(&name);
    sqe.addrLen = static_cast<uint16_t>(toSystem(out.to, name));
  }
  sqe.userData = reinterpret_cast<uint64_t>(&through);
  ++sends_;
}

/** Only sends that failed are told. */
void UringThread::send() {
  ring_.submit();
  ring_.reap(ring_.ready(), [this](uring::Cqe const& cqe) {
    Port& through = *reinterpret_cast<Port*>(cqe.userData);
    if (cqe.result == -ECONNREFUSED) refusedBy(through);
    through.slot->sendError();
    stats_.sendErrors.add(1);
  });
}

}  // namespace sallyport
