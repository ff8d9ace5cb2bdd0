// The engine as a whole, for the sanitizers: one thread asks for legs, changes, joins across packet threads and ends, while packets
// flow over real sockets on loopback. Arguments: io_uring|epoll, threads, rounds. Or xdp, 1, rounds, interface, the plane's address, the
// peers' address and their network namespace.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "../engine/engine.hpp"
#include "../engine/sockets.hpp"

using namespace sallyport;

namespace {

[[noreturn]] void fail(std::string const& why) {
  std::fprintf(stderr, "engine: %s\n", why.c_str());
  std::exit(1);
}

Address hosts[2];

/** Of the plane, or of its peers. */
Address place(unsigned side, uint16_t port) {
  Address address = hosts[side];
  address.port = port;
  return address;
}

Address hostOf(const char* text) {
  uint8_t octets[record::textSize] = {};
  std::strncpy(reinterpret_cast<char*>(octets), text, sizeof octets - 1);
  Address address;
  if (!readAddress(octets, address) || address.family != 4) fail("no address");
  return address;
}

/** Sockets stay in the namespace they were made in. */
void enter(int space) {
  if (setns(space, CLONE_NEWNET) != 0) fail("no namespace");
}

struct Peer {
  int fd = -1;
  uint16_t port = 0;
};

Peer openPeer() {
  SocketAddress address;
  socklen_t length = toSystem(place(1, 0), address);
  Peer peer;
  peer.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (bind(peer.fd, &address.any, length) != 0 || getsockname(peer.fd, &address.any, &length) != 0) fail("no peer");
  peer.port = ntohs(address.v4.sin_port);
  return peer;
}

LegChange planTo(uint16_t port) {
  LegChange change;
  change.fields = allFields;
  change.mode = Mode::sendReceive;
  change.remote.rtp = place(1, port);
  change.remote.rtcp = place(1, static_cast<uint16_t>(port + 1));
  change.protection.kind = Protection::clear;
  return change;
}

void keyed(ProtectionPlan& protection, unsigned seed) {
  protection.kind = Protection::srtp;
  protection.suite = SuiteId::aesCm128Sha1_80;
  protection.receive.resize(1);
  for (KeyPlan* key : {&protection.send, &protection.receive[0]}) {
    key->masterLength = 30;
    for (unsigned at = 0; at < 30; ++at) key->master[at] = static_cast<uint8_t>(seed * 7 + at);
    key->master[29] = static_cast<uint8_t>(seed >> 8);
    key->master[28] = key == &protection.send ? 1 : 2;
    key->master[27] = static_cast<uint8_t>(seed);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) fail("arguments: io_uring|epoll threads rounds");
  EngineOptions options;
  options.io = std::strcmp(arguments[1], "epoll") == 0 ? Io::epoll : Io::ioUring;
  const bool xdp = count > 7;
  hosts[0] = hostOf(xdp ? arguments[5] : "127.0.0.1");
  hosts[1] = hostOf(xdp ? arguments[6] : "127.0.0.1");
  if (xdp) options.interfaces = {arguments[4]};
  options.threads = static_cast<unsigned>(std::atoi(arguments[2]));
  options.keys = 2048;
  options.thread.buffers = 256;
  options.thread.fixedFiles = 256;
  options.thread.steadyPackets = 2;
  options.thread.loadedRate = 500;
  static std::atomic<unsigned> wakes{0};
  options.thread.wake = [](void*) { wakes.fetch_add(1); };
  std::vector<ThreadStats> stats(options.threads);
  std::string why, note;
  std::unique_ptr<Engine> engine = Engine::create(options, stats.data(), why, note);
  if (engine == nullptr) fail(why);

  std::mt19937 random(7);
  std::vector<Peer> peers;
  const int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (xdp) enter(open(arguments[7], O_RDONLY | O_CLOEXEC));
  for (unsigned peer = 0; peer < 8; ++peer) peers.push_back(openPeer());
  if (xdp) enter(here);
  struct Open {
    int index;
    uint16_t port;
  };
  std::vector<Open> legs;
  uint32_t lastId = 0;
  unsigned opened = 0, closed = 0, seeds = 0;
  uint64_t heard = 0;
  uint16_t port = 29'000, sequence = 0;
  const auto openLeg = [&] {
    LegChange plan = planTo(peers[random() % peers.size()].port);
    if (random() % 3 == 0) keyed(plan.protection, ++seeds);
    Refusal refusal = Refusal::none;
    const int index = engine->prepare(++lastId, plan, refusal);
    if (index < 0) fail("refused " + std::to_string(static_cast<int>(refusal)));
    int done = -1;
    for (unsigned tries = 0; done != 0 && tries < 200; ++tries) {
      port = port >= 29'900 ? 29'000 : static_cast<uint16_t>(port + 2);
      done = engine->bind(index, place(0, port));
    }
    if (done != 0) fail("cannot bind");
    ++opened;
    return index;
  };
  const auto drain = [&] { engine->drain([&](uint32_t, Counters const&, bool) { ++closed; }); };
  const auto rounds = static_cast<unsigned>(std::atoi(arguments[3]));
  for (unsigned round = 0; round < rounds; ++round) {
    const unsigned dice = random() % 20;
    if (legs.size() < 2 || (dice < 2 && legs.size() < 24)) {
      legs.push_back({openLeg(), port});
    } else if (dice < 4) {
      const size_t at = random() % legs.size();
      engine->close(legs[at].index);
      legs.erase(legs.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (dice < 8) {
      const size_t a = random() % legs.size(), b = random() % legs.size();
      if (a != b) engine->join(legs[a].index, legs[b].index);
    } else if (dice < 11) {
      LegChange change;
      change.fields = fieldRemote;
      if (random() % 4 == 0) change.fields |= fieldProtection;
      change.remote = planTo(peers[random() % peers.size()].port).remote;
      if (random() % 2 == 0) keyed(change.protection, ++seeds);
      engine->change(legs[random() % legs.size()].index, change);
    } else {
      uint8_t packet[60] = {0x80, 8};
      for (unsigned burst = 0; burst < 10; ++burst) {
        packet[2] = static_cast<uint8_t>(++sequence >> 8);
        packet[3] = static_cast<uint8_t>(sequence);
        SocketAddress to;
        const socklen_t length = toSystem(place(0, legs[random() % legs.size()].port), to);
        sendto(peers[random() % peers.size()].fd, packet, sizeof packet, 0, &to.any, length);
      }
    }
    if (round % 16 == 0) {
      uint8_t octets[2048];
      for (Peer const& peer : peers) {
        while (recv(peer.fd, octets, sizeof octets, MSG_DONTWAIT) > 0) ++heard;
      }
      Event event;
      while (engine->nextEvent(event)) {
      }
      for (Open const& leg : legs) heard += engine->counters(leg.index).rtpIn.get() == ~uint64_t{0};
      for (ThreadStats const& one : stats) heard += one.load.get() < 0;
      drain();
      usleep(200);
    }
  }
  for (Open const& leg : legs) engine->close(leg.index);
  for (unsigned waits = 0; closed < opened && waits < 5000; ++waits) {
    usleep(1000);
    drain();
  }
  if (closed != opened) fail("legs left");
  // In place of a thread that sleeps: at once.
  bool atOnce = false;
  for (unsigned tries = 0; !atOnce && tries < 5000; ++tries) {
    usleep(1000);
    atOnce = engine->close(openLeg());
    for (unsigned waits = 0; closed < opened && waits < 5000; ++waits) {
      drain();
      if (closed < opened) usleep(1000);
    }
  }
  if (!atOnce) fail("a thread that sleeps is always waited for");
  if (heard == 0) fail("nothing came through");
  if (xdp && stats[0].directOut.get() == 0) fail("nothing went past the sockets");
  engine.reset();
  for (Peer const& peer : peers) close(peer.fd);
  std::printf("ok engine\n");
  return 0;
}
