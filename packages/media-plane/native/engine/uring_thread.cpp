#include "uring_thread.hpp"
#include <algorithm>
#include <cerrno>

namespace sallyport {
namespace {

// What a completion belongs to stands in the low bits of its user data, beside a Wire's address.
enum Tag : uint64_t { tagReceive = 0, tagSend = 1, tagCancel = 2, tagWake = 3, tagNothing = 4, tagBits = 7 };

constexpr unsigned queueEntries = 2048, completionEntries = 16384, bufferOctets = 4096;
/** Packets waiting that end a batch early: buffers must not run out. */
constexpr unsigned batchPackets = 128;
constexpr uint64_t retryNs = 10'000'000, idleNs = 100'000'000, loadedNs = 1'000'000;

uint64_t dataOf(Wire& wire, Tag tag) { return reinterpret_cast<uint64_t>(&wire) | tag; }

}  // namespace

bool UringThread::prepare(std::string& why) {
  if (!ring_.open(queueEntries, completionEntries, why)) return false;
  if (!ring_.provideBuffers(settings_.buffers, bufferOctets, why)) return false;
  const unsigned files = settings_.fixedFiles;
  if (files > 0 && ring_.sparseFiles(files)) {
    freeFiles_.reserve(files);
    for (unsigned file = files; file-- > 0;) freeFiles_.push_back(static_cast<int32_t>(file));
  }
  receiveV4_.msg_namelen = sizeof(sockaddr_in);
  receiveV6_.msg_namelen = sizeof(sockaddr_in6);
  names_.resize(queueEntries);
  used_.reserve(settings_.buffers);
  again_.reserve(1024);
  held_.reserve(completionEntries);
  return true;
}

void UringThread::awaitWake() {
  uring::Sqe& sqe = next();
  sqe.opcode = uring::opRead;
  sqe.fd = wakeFd_;
  sqe.addr = reinterpret_cast<uint64_t>(&wakeValue_);
  sqe.len = sizeof wakeValue_;
  sqe.userData = tagWake;
}

void UringThread::run() {
  awaitWake();
  while (!stopping()) {
    // What came before the commands were looked at is worked off after them: a change holds for every later packet.
    const unsigned ready = ring_.ready();
    takeCommands();
    nowNs_ = nowNs();
    for (uring::Cqe const& cqe : held_) complete(cqe);
    held_.clear();
    workOff(ready);
    if (packets_ > 0) {
      sawPackets(packets_);
      stats_.packetsIn.add(packets_);
      stats_.packetsOut.add(sends_);
      stats_.wakes.add(1);
      packets_ = sends_ = 0;
    }
    listenInOrder();
    if (!again_.empty() && nowNs_ >= againAtNs_) listenAgain();
    tick(nowNs_);
    if (ring_.ready() > 0 || !mayFallAsleep()) {
      flush();
      continue;
    }
    const unsigned batch = batchUs();
    ring_.submitAndWait(batch > 0 ? batchPackets : 1, batch, batch > 0 ? loadedNs : idleNs);
    awake();
    recycle();
  }
}

void UringThread::workOff(unsigned ready) {
  // Nothing of a thousand calls is in the cache any more when its turn comes: what the next packets need is fetched meanwhile.
  const auto wireAt = [this](unsigned ahead) -> Wire* {
    uring::Cqe const* cqe = ring_.peek(ahead);
    const bool packet = cqe != nullptr && (cqe->userData & tagBits) == tagReceive && (cqe->flags & uring::cqeBuffer) != 0;
    return packet ? reinterpret_cast<Wire*>(cqe->userData) : nullptr;
  };
  ring_.reap(ready, [&](uring::Cqe const& cqe) {
    if (const uring::Cqe* next = ring_.peek(4); next != nullptr && (next->flags & uring::cqeBuffer) != 0) {
      __builtin_prefetch(reinterpret_cast<void const*>(next->userData & ~tagBits));
      Contexts::warm(ring_.buffer(next->flags >> uring::cqeBufferShift), 4);
    }
    if (Wire const* wire = wireAt(3)) wire->port->slot->warm();
    if (Wire const* wire = wireAt(2)) wire->port->slot->warmContexts();
    if (Wire const* wire = wireAt(1)) {
      wire->port->slot->warmPeer();
      if (Leg const* peer = wire->port->slot->peer()) Contexts::warm(&static_cast<Slot const*>(peer)->ports[0], 2);
    }
    complete(cqe);
  });
}

void UringThread::listenAgain() {
  // Their buffers first, else they would end at once.
  flush();
  while (!again_.empty()) {
    Wire* wire = again_.back();
    again_.pop_back();
    wire->waiting = false;
    listen(*wire);
  }
}

uring::Sqe& UringThread::next() {
  uring::Sqe* sqe = ring_.next();
  while (sqe == nullptr) {
    flush();
    sqe = ring_.next();
  }
  return *sqe;
}

void UringThread::flush() {
  ring_.submit();
  recycle();
}

/** Datagrams that were submitted have been copied: their buffers are free. */
void UringThread::recycle() {
  if (ring_.queued() > 0) return;
  nameCount_ = 0;
  if (used_.empty()) return;
  for (const uint16_t id : used_) ring_.recycle(id);
  ring_.publishBuffers();
  used_.clear();
}

void UringThread::listen(Wire& wire) {
  if (wire.file < 0 && !freeFiles_.empty()) {
    const int32_t file = freeFiles_.back();
    if (ring_.setFile(static_cast<unsigned>(file), wire.fd)) {
      wire.file = file;
      freeFiles_.pop_back();
    }
  }
  uring::Sqe& sqe = next();
  sqe.opcode = uring::opRecvmsg;
  sqe.flags = uring::sqeBufferSelect | (wire.file >= 0 ? uring::sqeFixedFile : 0);
  sqe.ioprio = uring::receiveMultishot;
  sqe.fd = wire.file >= 0 ? wire.file : wire.fd;
  sqe.addr = reinterpret_cast<uint64_t>(wire.port->slot->ipv6 ? &receiveV6_ : &receiveV4_);
  sqe.len = 1;
  sqe.userData = dataOf(wire, tagReceive);
  wire.state = WireState::listening;
}

bool UringThread::leave(Wire& wire) {
  // Sends that name it by its number go before the number is anybody else's.
  if (wire.file < 0 && ring_.queued() > 0) flush();
  if (wire.state == WireState::idle) {
    if (wire.waiting) again_.erase(std::find(again_.begin(), again_.end(), &wire));
    wire.waiting = false;
    dropFile(wire);
    return true;
  }
  wire.state = WireState::leaving;
  if (!wire.cancelling) cancel(wire);
  return false;
}

void UringThread::cancel(Wire& wire) {
  uring::Sqe& sqe = next();
  sqe.opcode = uring::opAsyncCancel;
  sqe.addr = dataOf(wire, tagReceive);
  sqe.userData = dataOf(wire, tagCancel);
  wire.cancelling = true;
}

/** A receive that is just being taken up again is not found: it is asked once more. */
void UringThread::cancelled(Wire& wire, int result) {
  wire.cancelling = false;
  if (wire.state == WireState::leaving && result < 0) return cancel(wire);
  if (wire.state != WireState::idle) return;
  finish(wire);
}

/** Nothing of it is in the kernel any more. */
void UringThread::finish(Wire& wire) {
  Slot& slot = *wire.port->slot;
  dropFile(wire);
  if (wire.retiring && !slot.closing && slot.movingTo == nullptr) return retired(wire);
  left(slot);
}

void UringThread::leaving(Slot& slot) {
  for (uring::Cqe& cqe : held_) {
    if ((cqe.userData & tagBits) != tagReceive) continue;
    if (reinterpret_cast<Wire const*>(cqe.userData)->port->slot != &slot) continue;
    complete(cqe);
    cqe.userData = tagNothing;
  }
}

void UringThread::pump() {
  ring_.submitAndWait(1, 0, loadedNs);
  ring_.reap(ring_.ready(), [this](uring::Cqe const& cqe) {
    // Packets of legs that stay are not worked off before the commands that are still to come.
    auto const* wire = reinterpret_cast<Wire const*>(cqe.userData & ~tagBits);
    const bool packet = (cqe.userData & tagBits) == tagReceive && (cqe.flags & uring::cqeBuffer) != 0;
    if (packet && wire->port->slot->movingTo == nullptr && !wire->port->slot->closing) {
      held_.push_back(cqe);
    } else {
      complete(cqe);
    }
  });
  flush();
}

void UringThread::complete(uring::Cqe const& cqe) {
  auto* wire = reinterpret_cast<Wire*>(cqe.userData & ~tagBits);
  switch (cqe.userData & tagBits) {
    case tagReceive:
      return received(*wire, cqe);
    case tagSend:
      if (cqe.result == -ECONNREFUSED) refusedBy(*wire->port);
      wire->port->slot->sendError();
      return stats_.sendErrors.add(1);
    case tagWake:
      return awaitWake();
    case tagCancel:
      return cancelled(*wire, cqe.result);
    default:
      return;
  }
}

void UringThread::received(Wire& wire, uring::Cqe const& cqe) {
  Port& port = *wire.port;
  if (cqe.result >= 0 && (cqe.flags & uring::cqeBuffer) != 0) {
    const auto id = static_cast<uint16_t>(cqe.flags >> uring::cqeBufferShift);
    ++packets_;
    uint8_t* const buffer = ring_.buffer(id);
    auto* const header = reinterpret_cast<uring::ReceivedHeader*>(buffer);
    auto* const name = reinterpret_cast<SocketAddress*>(buffer + sizeof *header);
    const size_t front = sizeof *header + (port.slot->ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    const size_t capacity = bufferOctets - front;
    if ((header->flags & MSG_TRUNC) != 0 || header->payloadLength + maxGrowth > capacity) {
      stats_.oversized.add(1);
    } else {
      Address source;
      fromSystem(*name, source);
      Outgoing out;
      const Verdict verdict =
          receive(*port.slot, port.flow, buffer + front, header->payloadLength, capacity, source, nowNs_, out);
      if (verdict == Verdict::send) {
        Port& through = static_cast<Slot*>(out.leg)->ports[static_cast<unsigned>(out.flow)];
        queueSend(through, buffer + front, out.length, out.to);
      }
    }
    used_.push_back(id);
  }
  if ((cqe.flags & uring::cqeMore) != 0) return;
  ended(wire, cqe.result);
}

/** The receive of a port is over: because it leaves, because buffers ran out, or because the kernel says so. */
void UringThread::ended(Wire& wire, int result) {
  Slot& slot = *wire.port->slot;
  const bool leaving = wire.state == WireState::leaving || slot.closing || slot.movingTo != nullptr;
  wire.state = WireState::idle;
  if (!leaving) {
    if (result == -ENOBUFS) {
      stats_.buffersExhausted.add(1);
    } else if (result == -ECONNREFUSED) {
      refusedBy(*wire.port);
    } else {
      againAtNs_ = nowNs_ + retryNs;
    }
    wire.waiting = true;
    again_.push_back(&wire);
    return;
  }
  if (!wire.cancelling) finish(wire);
}

void UringThread::dropFile(Wire& wire) {
  if (wire.file < 0) return;
  ring_.setFile(static_cast<unsigned>(wire.file), -1);
  freeFiles_.push_back(wire.file);
  wire.file = -1;
}

void UringThread::queueSend(Port& port, uint8_t* octets, size_t length, Address const& to) {
  Wire& wire = wireFor(port, to);
  // The kernel took less than it was given, for want of memory: what names there are are still its own.
  if (!port.connected && nameCount_ == names_.size()) flush();
  if (!port.connected && nameCount_ == names_.size()) return stats_.sendErrors.add(1);
  uring::Sqe& sqe = next();
  sqe.opcode = uring::opSend;
  sqe.flags = uring::sqeSkipSuccess | (wire.file >= 0 ? uring::sqeFixedFile : 0);
  sqe.fd = wire.file >= 0 ? wire.file : wire.fd;
  sqe.addr = reinterpret_cast<uint64_t>(octets);
  sqe.len = static_cast<uint32_t>(length);
  sqe.opFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (!port.connected) {
    SocketAddress& name = names_[nameCount_++];
    sqe.addr2 = reinterpret_cast<uint64_t>(&name);
    sqe.addrLen = static_cast<uint16_t>(toSystem(to, name));
  }
  sqe.userData = dataOf(wire, tagSend);
  ++sends_;
}

}  // namespace sallyport
