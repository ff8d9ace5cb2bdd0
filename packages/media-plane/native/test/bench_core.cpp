// What the core costs a packet, without sockets: `bench_core [legs]` prints nanoseconds for each suite and direction.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "plane.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

uint64_t cpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Pair {
  TestLeg access;
  TestLeg core;
  Pair(Plane& plane, uint32_t id) : access(plane, id), core(plane, id + 1) {}
};

constexpr size_t room = 512;
constexpr unsigned rounds = 16;

void measure(char const* name, Protection kind, SuiteId suite, unsigned pairs, bool warm) {
  Plane plane(8 * pairs + 16);
  std::vector<std::unique_ptr<Pair>> all;
  std::vector<std::unique_ptr<End>> ends;
  for (unsigned at = 0; at < pairs; at++) {
    all.push_back(std::make_unique<Pair>(plane, 2 * at + 1));
    LegChange access = open(kind, suite, 1);
    for (KeyPlan* plan : {access.protection.receive.data(), &access.protection.send}) {
      if (kind == Protection::srtp) write32(plan->master + (plan == &access.protection.send), at + 1);
    }
    if (all[at]->access.change(access, 0) != Refusal::none) std::exit(1);
    all[at]->core.change(open(kind == Protection::transparent ? kind : Protection::clear, suite, 2), 0);
    Leg::join(*all[at]->access.leg, *all[at]->core.leg);
    if (kind == Protection::srtp) ends.push_back(std::make_unique<End>(plane, suite, access.protection.receive[0]));
  }
  std::vector<uint8_t> buffers(room * pairs * rounds);
  std::vector<size_t> lengths(pairs * rounds);
  size_t sent = 0;
  for (bool const inwards : {true, false}) {
    uint16_t sequence = 0;
    auto const fill = [&] {
      for (unsigned round = 0; round < rounds; round++, sequence++) {
        for (unsigned at = 0; at < pairs; at++) {
          Octets packet = rtp(0x1000 + at, sequence);
          if (kind == Protection::srtp && inwards) packet = ends[at]->seal(packet);
          lengths[round * pairs + at] = packet.size();
          std::memcpy(&buffers[(round * pairs + at) * room], packet.data(), packet.size());
        }
      }
    };
    std::vector<double> figures;
    for (unsigned run = 0; run < 21; run++) {
      fill();
      uint64_t const began = cpuNs();
      for (unsigned packet = 0; packet < pairs * rounds; packet++) {
        Pair& pair = *all[packet % pairs];
        auto const ahead = [&](unsigned by) -> Leg const& {
          Pair const& next = *all[(packet + by) % pairs];
          return inwards ? *next.access.leg : *next.core.leg;
        };
        if (warm) {
          ahead(6).warm();
          ahead(4).warmContexts();
          ahead(2).warmPeer();
        }
        Outgoing out;
        sent += receive(inwards ? *pair.access.leg : *pair.core.leg, Flow::rtp, &buffers[packet * room],
                        lengths[packet], room, ipv4(inwards ? 1 : 2, 5000), 1 + packet / 64 * 20'000'000, out) ==
                Verdict::send;
      }
      figures.push_back(static_cast<double>(cpuNs() - began) / (pairs * rounds));
    }
    std::sort(figures.begin(), figures.end());
    std::printf("%-24s %s %5u pairs %13s: median %4.0f ns, best %4.0f ns a packet of 160 octets payload\n", name,
                inwards ? "from the UE" : "to the UE  ", pairs, warm ? "fetched ahead" : "", figures[figures.size() / 2], figures[0]);
  }
  if (sent != 2ull * 21 * pairs * rounds) {
    std::fprintf(stderr, "only %zu packets passed\n", sent);
    std::exit(1);
  }
}

}  // namespace

int main(int count, char** arguments) {
  unsigned const only = count > 1 ? static_cast<unsigned>(std::atoi(arguments[1])) : 0;
  for (unsigned const pairs : {1u, 100u, 500u, 1000u, 5000u}) {
    if (only != 0 && only != pairs) continue;
    for (bool const warm : {false, true}) {
      measure("transparent", Protection::transparent, SuiteId::aesCm128Sha1_80, pairs, warm);
      measure("clear", Protection::clear, SuiteId::aesCm128Sha1_80, pairs, warm);
      for (unsigned suite = 0; suite < suiteCount; suite++) {
        if (suite % 2 == 1 && suite < 6) continue;
        measure(suites[suite].name, Protection::srtp, static_cast<SuiteId>(suite), pairs, warm);
      }
    }
  }
  std::printf("sizes: Leg %zu, Sending %zu, Receiving %zu, SessionKey %zu, Counters %zu octets\n", sizeof(Leg),
              sizeof(Sending), sizeof(Receiving), sizeof(SessionKey), sizeof(Counters));
}
