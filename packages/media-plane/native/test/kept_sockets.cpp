// Sockets of ended legs that serve new ones: nothing that was sent to the old leg reaches the new one, nothing of the old one's ways
// stays, and nobody is kept waiting for a port longer than said. Over real sockets on loopback. Argument: io_uring|epoll.
#include <poll.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "../engine/engine.hpp"

using namespace sallyport;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint16_t port = 28'400;

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "kept sockets: %s\n", what);
  std::exit(1);
}

Address at(uint16_t of, uint8_t host = 1) {
  Address address;
  address.family = 4;
  address.port = of;
  address.octets[0] = 127;
  address.octets[3] = host;
  return address;
}

size_t descriptors() {
  std::filesystem::directory_iterator const all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

/** Hears errors of what it sends to one place, and the code point of what comes. */
struct Peer {
  explicit Peer(Address const& to) : fd(socket(AF_INET, SOCK_DGRAM, 0)) {
    SocketAddress address;
    const int on = 1;
    check(bind(fd, &address.any, toSystem(at(0, 9), address)) == 0, "no peer");
    check(connect(fd, &address.any, toSystem(to, address)) == 0, "no way to the leg");
    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  }
  ~Peer() { ::close(fd); }
  Peer(Peer const&) = delete;
  Peer& operator=(Peer const&) = delete;

  bool send(const char* text) const { return ::send(fd, text, std::strlen(text), 0) >= 0; }
  /** Refused as by a port that is closed. */
  bool refused() const {
    send("?");
    char octet;
    return recv(fd, &octet, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
  }
  Address place() const {
    SocketAddress address;
    socklen_t length = sizeof address;
    getsockname(fd, &address.any, &length);
    Address here;
    fromSystem(address, here);
    return here;
  }
  /** Code point of the next datagram, -1: none within a second. */
  int codePoint() const {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, 1000) != 1) return -1;
    char octets[2048], control[64];
    iovec part{octets, sizeof octets};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(fd, &message, 0) < 0) return -1;
    cmsghdr const* const header = CMSG_FIRSTHDR(&message);
    return header != nullptr && header->cmsg_type == IP_TOS ? *CMSG_DATA(header) >> 2 : -1;
  }
  int fd;
};

bool heard(int socket, const char* text) {
  char octets[16] = {};
  pollfd wait{socket, POLLIN, 0};
  return poll(&wait, 1, 1000) == 1 && recv(socket, octets, sizeof octets, 0) > 0 && std::strcmp(octets, text) == 0;
}

/** Legs wanted, so that sockets are worth keeping. */
void want(KeptSockets& kept, unsigned count, uint64_t nowNs) {
  SocketPair none;
  for (unsigned wanted = 0; wanted < count; ++wanted) check(!kept.take(at(2), none, nowNs), "what was never given is taken");
}

SocketPair open(Address const& local) {
  SocketPair sockets;
  check(openPair(local, 0, 0, sockets) == 0, "cannot bind");
  return sockets;
}

bool bindable(Address const& local) {
  SocketPair sockets;
  if (openPair(local, 0, 0, sockets) != 0) return false;
  ::close(sockets.rtp);
  ::close(sockets.rtcp);
  return true;
}

void nothingOldIsHeard() {
  KeptSockets kept;
  kept.bound(100);
  want(kept, 100, second);
  const SocketPair first = open(at(port));
  const Peer rtp(at(port)), rtcp(at(port + 1));
  for (Peer const* peer : {&rtp, &rtcp}) check(peer->send("old") && peer->send("old"), "cannot send");
  check(kept.give(at(port), first, second), "it is not kept");
  check(rtp.refused() && rtcp.refused(), "what is kept hears");
  check(!bindable(at(port)), "what is kept lost its port");
  SocketPair again;
  check(kept.take(at(port), again, second) && again.rtp == first.rtp && again.rtcp == first.rtcp, "it is not taken");
  check(rtp.send("new") && rtcp.send("new"), "cannot send again");
  check(heard(again.rtp, "new") && heard(again.rtcp, "new"), "the new leg hears the old one's, or nothing");
  check(!kept.take(at(port), again, second), "it is taken twice");
  ::close(again.rtp);
  ::close(again.rtcp);
}

void noMoreThanWanted() {
  KeptSockets kept;
  kept.bound(2);
  const auto give = [&](uint16_t to, uint64_t nowNs) { return kept.give(at(to), open(at(to)), nowNs); };
  check(!give(port, second) && bindable(at(port)), "kept by a plane at rest");
  want(kept, 100, second);
  check(give(port, second) && give(port + 2, 2 * second) && !give(port + 4, 2 * second), "the bound does not hold");
  kept.expire(15 * second);
  check(kept.size() == 2, "gone before its time");
  kept.expire(16 * second);
  check(kept.size() == 1 && bindable(at(port)) && !bindable(at(port + 2)), "not gone in time");
  kept.expire(17 * second);
  check(kept.size() == 0 && bindable(at(port + 2)), "the last one stays");
  check(!give(port, 60 * second), "kept when nobody wants any more");
  want(kept, 100, 61 * second);
  check(give(port, 61 * second), "not kept when many want again");
  Address every = at(port + 8);
  every.octets[0] = every.octets[3] = 0;
  Address six;
  six.family = 6;
  six.octets[15] = 1;
  six.port = port + 8;
  for (Address const& one : {every, six}) check(!kept.give(one, open(one), 61 * second) && bindable(one), "kept what cannot be");
}

LegChange plan(Address const& to, uint8_t dscp) {
  LegChange change;
  change.fields = allFields;
  change.mode = Mode::sendReceive;
  change.remote.rtp = to;
  change.remote.rtcp = above(to);
  change.protection.kind = Protection::clear;
  change.dscp = dscp;
  return change;
}

struct Plane {
  std::unique_ptr<Engine> engine;
  ThreadStats stats;
  uint32_t legs = 0;
  unsigned closed = 0, kept = 0;

  explicit Plane(Io io) {
    EngineOptions options;
    options.io = io;
    options.keys = 2048;
    options.thread.steadyPackets = 2;
    options.thread.wake = [](void*) {};
    std::string why, note;
    engine = Engine::create(options, &stats, why, note);
    check(engine != nullptr, why.c_str());
  }
  int open(uint16_t local, Address const& to, uint8_t dscp) {
    Refusal refusal;
    const int index = engine->prepare(++legs, plan(to, dscp), refusal);
    check(index >= 0 && engine->bind(index, at(local)) == 0, "no leg");
    return index;
  }
  void close(int index) {
    const unsigned before = closed;
    engine->close(index);
    for (unsigned waits = 0; closed == before && waits < 2000; ++waits) {
      engine->drain([this](uint32_t, Counters const&, bool stays) { closed += 1, kept += stays ? 1 : 0; });
      if (closed == before) usleep(1000);
    }
    check(closed == before + 1, "a leg does not end");
  }
};

void legsShareNothing(Io io) {
  Plane plane(io);
  const Peer ue(at(port)), core(at(port + 2));
  uint8_t packet[172] = {0x80, 8};
  const auto talk = [&](int heardBy, int codePoint) {
    for (uint16_t number = 1; number < 9; ++number) {
      packet[3] = static_cast<uint8_t>(number);
      check(::send(ue.fd, packet, sizeof packet, 0) > 0, "cannot talk");
      check(core.codePoint() == codePoint, "it came with another code point, or not at all");
      // Time for a socket of its own, connected to the core.
      usleep(12'000);
    }
    check(plane.engine->counters(heardBy).rtpIn.get() == 8, "another number was heard than was said");
  };
  for (unsigned leg = 0; leg < 40; ++leg) plane.close(plane.open(port, ue.place(), 0));
  const unsigned keptBefore = plane.kept;
  check(keptBefore > 0, "no sockets are kept");
  for (uint8_t codePoint : {46, 0}) {
    const int a = plane.open(port, ue.place(), 0), b = plane.open(port + 2, core.place(), codePoint);
    plane.engine->join(a, b);
    talk(a, codePoint);
    plane.close(a);
    plane.close(b);
    check(ue.refused() && core.refused(), "an ended leg hears");
  }
  check(plane.stats.connects.get() > 0, "no socket was connected");
  check(plane.kept == keptBefore + 4, "sockets of a leg that was used are not kept");
}

}  // namespace

int main(int count, char** arguments) {
  check(count > 1, "arguments: io_uring|epoll");
  const size_t before = descriptors();
  nothingOldIsHeard();
  noMoreThanWanted();
  legsShareNothing(std::strcmp(arguments[1], "epoll") == 0 ? Io::epoll : Io::ioUring);
  check(descriptors() == before, "descriptors are left");
  std::printf("ok kept sockets\n");
  return 0;
}
