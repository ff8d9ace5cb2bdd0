#include "xdp_thread.hpp"
#include <poll.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace sallyport {
namespace {

constexpr uint32_t framesAhead = 8;
constexpr uint32_t portsInMap = 131072;
/** A way in use is asked for again this often; one not used for longer is let go. */
constexpr uint64_t refreshNs = 5'000'000'000, unusedNs = 60'000'000'000, lookEveryNs = 100'000'000;
/** Where a datagram that came by a socket is put into a frame. */
constexpr size_t frontOctets = 64;

/** Of a leg whose datagrams may come past the sockets: a unicast address that means one host everywhere. */
bool addressable(Address const& local) {
  if (local.family == 4) return local.octets[0] != 0 && local.octets[0] != 127 && local.octets[0] < 224;
  const bool linkLocal = local.octets[0] == 0xfe && (local.octets[1] & 0xc0) == 0x80;
  static constexpr uint8_t zeros[12] = {};
  return local.octets[0] != 0xff && !linkLocal && local.scope == 0 && std::memcmp(local.octets, zeros, 12) != 0;
}

}  // namespace

XdpThread::XdpThread(ThreadSettings const& settings, ThreadStats& stats, KeyPool& pool, std::vector<std::string> interfaces)
    : EpollThread(settings, stats, pool), names_(std::move(interfaces)) {}

bool XdpThread::prepare(std::string& why) {
  if (!EpollThread::prepare(why)) return false;
  if (!steer_.open(portsInMap, why) || !xdp::open(names_, steer_, umem_, interfaces_, manner_, why)) return false;
  std::vector<uint32_t> indices;
  for (xdp::Interface const& one : interfaces_) indices.push_back(one.link.index);
  resolver_ = std::make_unique<xdp::Resolver>(std::move(indices));
  if (!resolver_->start(why)) return false;
  takeNews();
  keepUp();
  return true;
}

void XdpThread::listen(Wire& wire) {
  EpollThread::listen(wire);
  Port& port = *wire.port;
  if (&wire != &port.wires[0] || !addressable(port.local) || !ports_.add(port)) return;
  port.direct = true;
  // Where the map is full the sockets hear it.
  steer_.take(port.local);
}

void XdpThread::leave(Wire& wire) {
  Port& port = *wire.port;
  if (&wire == &port.wires[0] && port.direct) {
    steer_.leave(port.local);
    ports_.remove(port);
    port.direct = false;
  }
  EpollThread::leave(wire);
}

bool XdpThread::unsent() const {
  return std::any_of(interfaces_.begin(), interfaces_.end(), [](xdp::Interface const& one) {
    return std::any_of(one.queues.begin(), one.queues.end(), [](auto const& queue) { return queue->unsent(); });
  });
}

void XdpThread::wait() {
  const unsigned batch = batchUs();
  if (batch > 0) {
    // Under load the clock wakes, not each packet.
    const timespec pause{0, static_cast<long>(batch) * 1000};
    nanosleep(&pause, nullptr);
  } else if (mayFallAsleep()) {
    pollfd waits[1 + xdp::mostQueues * 2];
    nfds_t count = 0;
    waits[count++] = {descriptor(), POLLIN, 0};
    for (xdp::Interface const& one : interfaces_) {
      for (auto const& queue : one.queues) {
        if (count < sizeof waits / sizeof waits[0]) waits[count++] = {queue->fd(), POLLIN, 0};
      }
    }
    ::poll(waits, count, unsent() ? 1 : idleMs);
  }
}

void XdpThread::run() {
  while (!stopping()) {
    wait();
    awake();
    hear(gather(0));
    // What came before the commands were looked at is worked off after them: a change holds for every later packet.
    waiting_.clear();
    for (xdp::Interface const& one : interfaces_) {
      for (auto const& queue : one.queues) waiting_.push_back(queue->rx.waiting());
    }
    takeCommands();
    takeNews();
    nowNs_ = nowNs();
    workOff();
    size_t at = 0;
    for (xdp::Interface& one : interfaces_) {
      for (auto& queue : one.queues) receiveFrom(one, *queue, waiting_[at++]);
    }
    keepUp();
    account();
    listenInOrder();
    tick(nowNs_);
  }
}

/** Sends what is queued and takes back what was sent: then every frame is with the kernel or free. */
void XdpThread::turnOver() {
  for (xdp::Interface& one : interfaces_) {
    for (auto& queue : one.queues) {
      queue->send();
      queue->reap(umem_);
    }
  }
  for (xdp::Interface& one : interfaces_) {
    for (auto& queue : one.queues) queue->fill(umem_);
  }
}

void XdpThread::keepUp() {
  turnOver();
  if (asked_) resolver_->wake();
  asked_ = false;
  if (nowNs_ - lookedAtNs_ < lookEveryNs) return;
  lookedAtNs_ = nowNs_;
  stats_.directIn.add(directIn_);
  stats_.directOut.add(directOut_);
  stats_.unsound.add(unsound_);
  directIn_ = directOut_ = unsound_ = 0;
  uint64_t drops = 0, held = 0;
  for (xdp::Interface const& one : interfaces_) {
    for (auto const& queue : one.queues) {
      drops += queue->drops();
      held += queue->held();
    }
  }
  stats_.lost.add(static_cast<double>(drops - drops_));
  drops_ = drops;
  stats_.frames.set(umem_.frames());
  stats_.framesFree.set(static_cast<double>(umem_.free()));
  stats_.framesHeld.set(static_cast<double>(held));
  hops_.expire(nowNs_ - unusedNs, [this](xdp::Hop const& hop) {
    xdp::HopQuestion question;
    question.forget = true;
    question.hop = hops_.placeOf(hop);
    asked_ = resolver_->ask(question) || asked_;
  });
  stats_.hops.set(static_cast<double>(hops_.count()));
}

void XdpThread::takeNews() {
  for (xdp::ResolverNews* news = resolver_->news(); news != nullptr; news = resolver_->news()) {
    const xdp::ResolverNews copy = *news;
    resolver_->taken();
    switch (copy.kind) {
      case xdp::ResolverNews::Kind::hop:
        if (xdp::Hop* hop = hops_.at(copy.hop, copy.serial)) {
          hop->interface = copy.interface;
          hop->mac = copy.mac;
          hop->mtu = copy.mtu;
        }
        break;
      case xdp::ResolverNews::Kind::link:
        takeLink(copy);
        break;
      case xdp::ResolverNews::Kind::addresses:
        own_.reset(copy.addresses);
        break;
      case xdp::ResolverNews::Kind::policies:
        pause(copy.up);
        break;
    }
  }
}

void XdpThread::takeLink(xdp::ResolverNews const& news) {
  xdp::Interface& one = interfaces_[static_cast<size_t>(news.interface)];
  one.up = news.up;
  if (news.mtu != 0) one.link.mtu = news.mtu;
  if (news.mac == one.link.mac || news.mac == xdp::Mac{}) return;
  // The program knows the old one: frames to the new one go by the sockets until it is told.
  if (steer_.readdress(one.attachment, news.mac)) one.link.mac = news.mac;
}

/** What an IPsec policy asks for must not be evaded, neither way: the kernel has every packet while there is one. */
void XdpThread::pause(bool paused) {
  paused_ = paused;
  stats_.paused.set(paused ? 1 : 0);
  std::string why;
  for (xdp::Interface& one : interfaces_) {
    for (uint32_t queue = 0; queue < one.queues.size(); ++queue) {
      if (paused) steer_.withdraw(one.attachment, queue);
      else steer_.serve(one.attachment, queue, one.queues[queue]->fd(), why);
    }
  }
}

char const* XdpThread::note() const {
  return paused_ ? "the kernel has IPsec policies: while it has, packets go by the sockets and not past them; " : "";
}

bool XdpThread::sound(xdp::Interface const& interface, uint8_t* octets, size_t length, frame::Datagram& datagram) const {
  if (!frame::read(octets, length, interface.unfinished, datagram)) return false;
  Address& source = datagram.source;
  if (own_ != nullptr && std::binary_search(own_->begin(), own_->end(), source, xdp::hostBefore)) return false;
  if (source.family == 6 && source.octets[0] == 0xfe && (source.octets[1] & 0xc0) == 0x80) source.scope = interface.link.index;
  return true;
}

void XdpThread::receiveFrom(xdp::Interface& interface, xdp::Socket& queue, uint32_t count) {
  Arrival arrivals[atOnce];
  while (count > 0) {
    const auto some = std::min<uint32_t>(count, atOnce);
    size_t good = 0;
    const auto fetch = [&](uint32_t at) {
      if (at < some) Contexts::warm(umem_.at(queue.rx.item(queue.rx.place + at).address), 4);
    };
    // Another core wrote them.
    for (uint32_t at = 0; at < framesAhead; ++at) fetch(at);
    for (uint32_t at = 0; at < some; ++at) {
      fetch(at + framesAhead);
      const xdp::Descriptor descriptor = queue.rx.item(queue.rx.place + at);
      Arrival& arrival = arrivals[good];
      arrival.datagram = {};
      if (sound(interface, umem_.at(descriptor.address), descriptor.length, arrival.datagram) &&
          (arrival.port = ports_.find(arrival.datagram.local)) != nullptr) {
        arrival.port->warmDirect();
        ++good;
      } else {
        ++unsound_;
        umem_.give(descriptor.address);
      }
    }
    queue.rx.place += some;
    queue.rx.release();
    queue.received(some);
    for (size_t at = 0; at < good; ++at) {
      warm(arrivals, at, good);
      relay(arrivals[at]);
    }
    packets_ += some;
    directIn_ += static_cast<unsigned>(good);
    count -= some;
    // A long round must not keep its first packets waiting, nor the kernel without frames.
    if (count > 0) turnOver();
  }
}

/** Nothing of a thousand calls is in the cache any more when its turn comes: what the next packets need is fetched meanwhile. */
void XdpThread::warm(Arrival const* arrivals, size_t at, size_t count) {
  if (at == 0) {
    for (size_t first = 0; first < std::min<size_t>(count, 6); ++first) arrivals[first].port->slot->warm();
  }
  if (at + 6 < count) arrivals[at + 6].port->slot->warm();
  if (at + 4 < count) arrivals[at + 4].port->slot->warmContexts();
  if (at + 2 >= count) return;
  Slot const& next = *arrivals[at + 2].port->slot;
  next.warmPeer();
  Leg const* const peer = next.peer();
  if (peer == nullptr) return;
  static_cast<Slot const*>(peer)->ports[static_cast<unsigned>(arrivals[at + 2].port->flow)].warmDirect();
}

void XdpThread::relay(Arrival const& arrival) {
  Port& port = *arrival.port;
  frame::Datagram const& datagram = arrival.datagram;
  const uint64_t address = umem_.addressOf(datagram.octets);
  const size_t capacity = umem_.roomFrom(address);
  if (datagram.length + maxGrowth > capacity) {
    stats_.oversized.add(1);
    return umem_.give(address);
  }
  Outgoing out;
  const Verdict verdict =
      receive(*port.slot, port.flow, datagram.octets, datagram.length, capacity, datagram.source, nowNs_, out);
  if (verdict != Verdict::send) return umem_.give(address);
  ++sends_;
  Port& through = static_cast<Slot*>(out.leg)->ports[static_cast<unsigned>(out.flow)];
  if (sendDirect(through, out, datagram.octets)) return;
  sendBySocket(through, out, datagram.octets);
  umem_.give(address);
}

/** What came by a socket may leave by an interface of ours. */
void XdpThread::sendOut(Port& through, Outgoing const& out, uint8_t* datagram) {
  uint64_t frame;
  if (wayTo(through, out.to) != nullptr && out.length + frontOctets <= umem_.frameSize() && umem_.take(frame)) {
    uint8_t* const payload = umem_.at(frame) + frontOctets;
    std::memcpy(payload, datagram, out.length);
    if (sendDirect(through, out, payload)) return;
    umem_.give(frame);
  }
  sendBySocket(through, out, datagram);
}

/** The hop of a port's datagrams to `to`, null where they go by its socket. */
xdp::Hop* XdpThread::wayTo(Port& port, Address const& to) {
  if (!port.direct || paused_ || to.family != port.local.family || to.scope != 0) return nullptr;
  xdp::Hop* hop = hops_.at(port.hop, port.hopSerial);
  if (hop == nullptr || !sameHost(hop->to, to)) {
    hop = hops_.find(port.local, to);
    if (hop == nullptr) return nullptr;
    port.hop = hops_.placeOf(*hop);
    port.hopSerial = hop->serial;
  }
  hop->usedNs = nowNs_;
  if (nowNs_ - hop->askedNs >= refreshNs) {
    xdp::HopQuestion question;
    question.hop = port.hop;
    question.serial = hop->serial;
    question.local = hop->local;
    question.to = to;
    if (resolver_->ask(question)) {
      hop->askedNs = nowNs_;
      asked_ = true;
    }
  }
  return hop->interface >= 0 ? hop : nullptr;
}

/** True: the frame `payload` stands in is on its way, or was dropped because nothing moves. False: it is still the caller's. */
bool XdpThread::sendDirect(Port& through, Outgoing const& out, uint8_t* payload) {
  xdp::Hop const* hop = wayTo(through, out.to);
  if (hop == nullptr) return false;
  xdp::Interface& interface = interfaces_[static_cast<size_t>(hop->interface)];
  const size_t headers = frame::headersOf(out.to);
  const uint32_t mtu = hop->mtu != 0 ? std::min(hop->mtu, interface.link.mtu) : interface.link.mtu;
  if (!interface.up || headers - frame::ethernetOctets + out.length > mtu) return false;
  frame::Way way;
  std::memcpy(way.ethernet, hop->mac.data(), 6);
  std::memcpy(way.ethernet + 6, interface.link.mac.data(), 6);
  way.ethernet[12] = out.to.family == 4 ? 0x08 : 0x86;
  way.ethernet[13] = out.to.family == 4 ? 0x00 : 0xdd;
  way.local = &through.local;
  way.to = &out.to;
  way.dscp = out.dscp;
  uint8_t const* const start = frame::write(way, payload, out.length);
  const uint64_t address = umem_.addressOf(start);
  // A port keeps to one queue: its packets stay in order.
  xdp::Socket& queue = *interface.queues[(through.local.port >> 1) % interface.queues.size()];
  const auto length = static_cast<uint32_t>(headers + out.length);
  if (!queue.queue(address, length)) {
    queue.send();
    queue.reap(umem_);
    if (!queue.queue(address, length)) {
      out.leg->sendError();
      stats_.sendErrors.add(1);
      umem_.give(address);
      return true;
    }
  }
  ++directOut_;
  return true;
}

}  // namespace sallyport
