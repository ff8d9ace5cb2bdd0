// A media load on its own core: every call has its own ports on both sides, SRTP from the UE and RTP from the core at a fixed
// total rate, evenly spread. Tells what was sent, what came, how long it took, and gives a sample of it to be verified.
//
// Calls stand on standard input, one a line: uePort corePort relayUePort relayCorePort keyOfTheUe(hex).
// Arguments: local address, relay's address, suite (number), rate (packets/s), warm-up and measured time (ms), core, payload octets, and
// the interface whose queue it polls, or -. Or: `tso-off` and an interface, which then has no segmentation offload.
#include <sched.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "../core/session-key.hpp"
#include "../core/transform.hpp"
#include "../engine/record.hpp"
#include "../engine/sockets.hpp"
#include "../engine/uring.hpp"
#include "link.hpp"

using namespace sallyport;

namespace {

constexpr unsigned sendsEach = 64, receivesEach = 256, slotOctets = 512;
constexpr unsigned remembered = 4096, sampleEvery = 97, samplesEach = 200;
constexpr unsigned mostAtOnce = 16;
constexpr uint64_t sampleBelow = 30'000, tagSend = ~uint64_t{0}, givenUpNs = 300'000'000, pauseNs = 50'000;

struct Sample {
  unsigned stream;
  std::vector<uint8_t> octets;
};

/** One direction of one call. */
struct Stream {
  int sendFile = 0;
  /** Only from the UE. */
  std::unique_ptr<SessionKey> key;
  uint64_t sent = 0, received = 0;
  /** Packets up to this one have come, or will not. */
  uint64_t settled = 0;
  uint64_t sentAtNs = 0;
  /** When its socket was looked at last: as often as that the relay finds the socket in our core's cache. */
  uint64_t triedAtNs = 0;
  /** Receives to try at once: what came last time, and one more. */
  unsigned attempts = 1;
  bool awaited = false;
  std::vector<uint32_t> sentUs = std::vector<uint32_t>(remembered);
};

uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

[[noreturn]] void fail(std::string const& why) {
  std::fprintf(stderr, "generator: %s\n", why.c_str());
  std::exit(1);
}

Address addressOf(const char* text, uint16_t port) {
  uint8_t place[record::textSize] = {};
  std::strncpy(reinterpret_cast<char*>(place), text, sizeof place - 1);
  Address address;
  if (!readAddress(place, address) || address.family == 0) fail("no address");
  address.port = port;
  return address;
}

/** Connected: to receive by it looks up no route, which whoever sends to it on this machine would be charged for. */
int openSocket(Address const& local, Address const& remote) {
  SocketAddress address;
  const socklen_t length = toSystem(local, address);
  const int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int size = 1 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  // The kernel closes what an earlier trial's ring held some time after that process has ended.
  for (unsigned tries = 0; fd < 0 || bind(fd, &address.any, length) != 0; ++tries) {
    if (fd < 0 || errno != EADDRINUSE || tries == 300) fail("cannot bind port " + std::to_string(local.port));
    usleep(10'000);
  }
  const socklen_t toLength = toSystem(remote, address);
  if (connect(fd, &address.any, toLength) != 0) fail("cannot connect");
  return fd;
}

void put16(uint8_t* at, uint64_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
void put32(uint8_t* at, uint64_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}
uint32_t get32(uint8_t const* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 | at[3];
}

constexpr uint32_t firstSsrc = 0x5a110000;

/** Differs for every packet and is known to whoever verifies: octet n is stream * 31 + index * 7 + n. */
void writePacket(uint8_t* at, unsigned stream, uint64_t index, size_t payload) {
  at[0] = 0x80;
  at[1] = 8;
  put16(at + 2, index);
  put32(at + 4, index * 160);
  put32(at + 8, firstSsrc + stream);
  for (size_t n = 0; n < payload; ++n) at[12 + n] = static_cast<uint8_t>(stream * 31 + index * 7 + n);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 3 && std::strcmp(arguments[1], "tso-off") == 0) return setOffload(arguments[2], ETHTOOL_STSO, false) ? 0 : 1;
  if (count < 10) fail("arguments: local relay suite rate warmMs measureMs core payload interface");
  const char* local = arguments[1];
  const char* relay = arguments[2];
  const Suite& suite = suites[std::atoi(arguments[3])];
  const double rate = std::atof(arguments[4]);
  const uint64_t warm = std::strtoull(arguments[5], nullptr, 10) * 1'000'000;
  const uint64_t measured = std::strtoull(arguments[6], nullptr, 10) * 1'000'000;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(std::atoi(arguments[7]), &cores);
  sched_setaffinity(0, sizeof cores, &cores);
  const size_t payload = std::strtoull(arguments[8], nullptr, 10);

  KeyPool pool;
  std::vector<Stream> streams;
  std::vector<int> sockets;
  KeyPool::Trouble trouble;
  if (!pool.reserve(16384, trouble)) fail("no locked memory");
  Ciphers ciphers(pool);
  unsigned uePort, corePort, relayUe, relayCore;
  char hex[128];
  while (std::scanf("%u %u %u %u %127s", &uePort, &corePort, &relayUe, &relayCore, hex) == 5) {
    const int ue = static_cast<int>(sockets.size());
    sockets.push_back(openSocket(addressOf(local, static_cast<uint16_t>(uePort)), addressOf(relay, static_cast<uint16_t>(relayUe))));
    sockets.push_back(openSocket(addressOf(local, static_cast<uint16_t>(corePort)), addressOf(relay, static_cast<uint16_t>(relayCore))));
    Stream up, down;
    up.sendFile = ue;
    if (hex[0] != '-') {
      KeyPlan plan;
      for (size_t at = 0; hex[2 * at] != 0 && at < maxMasterLength; ++at) {
        const char digits[3] = {hex[2 * at], hex[2 * at + 1], 0};
        plan.master[at] = static_cast<uint8_t>(std::strtoul(digits, nullptr, 16));
        plan.masterLength = static_cast<uint16_t>(at + 1);
      }
      up.key = std::make_unique<SessionKey>();
      if (!up.key->derive(suite, plan, pool)) fail("cannot derive keys");
    }
    down.sendFile = ue + 1;
    streams.push_back(std::move(up));
    streams.push_back(std::move(down));
  }

  uring::Ring ring;
  std::string why;
  if (!ring.open(sendsEach + receivesEach, 4096, why)) fail(why);
  if (!ring.sparseFiles(static_cast<unsigned>(sockets.size()))) fail("no fixed files");
  for (unsigned file = 0; file < sockets.size(); ++file) ring.setFile(file, sockets[file]);

  PolledQueue queue;
  const bool polled = std::strcmp(arguments[9], "-") != 0;
  if (polled && !queue.open(arguments[9], sockets[0])) fail("the queue cannot be polled");

  std::vector<uint8_t> slots(static_cast<size_t>(sendsEach) * slotOctets);
  std::vector<uint8_t> places(static_cast<size_t>(receivesEach) * slotOctets);
  /** Streams of which packets are under way, and where the next round of receives begins. */
  std::vector<unsigned> awaited;
  size_t turn = 0;
  unsigned streamOf[receivesEach];
  std::vector<uint32_t> delays;
  delays.reserve(static_cast<size_t>(rate * static_cast<double>(measured) / 1e9 * 1.1) + 1000);
  std::vector<Sample> samples;
  const auto streamCount = static_cast<unsigned>(streams.size());
  const uint64_t start = now();
  const uint64_t measureFrom = start + warm, end = measureFrom + measured, drainEnd = end + 300'000'000;
  uint64_t index = 0, sentInTime = 0, receivedTotal = 0, wrong = 0, sendErrors = 0, behindNs = 0;
  unsigned sampled = 0;
  bool measuring = false, ended = false;
  unsigned downSamples = 0, upSamples = 0;

  // What the UE sent must come out at the core of the same call, and the other way.
  const auto arrived = [&](uint8_t const* packet, int length, unsigned expected, uint64_t at) {
    const uint32_t stream = length >= 12 ? get32(packet + 8) - firstSsrc : ~0u;
    if (stream != expected) {
      ++wrong;
      return;
    }
    Stream& from = streams[stream];
    ++from.received;
    ++receivedTotal;
    ++from.attempts;
    const unsigned sequence = static_cast<unsigned>(packet[2]) << 8 | packet[3];
    from.settled = from.sent - static_cast<uint16_t>(from.sent - 1 - sequence);
    const auto delay = static_cast<uint32_t>(at / 1000) - from.sentUs[sequence % remembered];
    if (measuring && !ended) delays.push_back(delay);
    unsigned& taken = stream % 2 == 0 ? upSamples : downSamples;
    if (++sampled % sampleEvery == 0 && from.sent < sampleBelow && taken < samplesEach) {
      ++taken;
      samples.push_back({stream, std::vector<uint8_t>(packet, packet + length)});
    }
  };
  // Looks where packets are under way and nowhere else. It never waits for a socket: whoever sends to one that is waited for has
  // to wake the one who waits, and a relay would be charged for that.
  const auto tryReceives = [&](uint64_t at) {
    unsigned used = 0;
    for (size_t left = awaited.size(); left > 0 && used < receivesEach; --left) {
      if (turn >= awaited.size()) turn = 0;
      Stream& from = streams[awaited[turn]];
      if (from.settled == from.sent || at - from.sentAtNs > givenUpNs) {
        from.awaited = false;
        from.settled = from.sent;
        awaited[turn] = awaited.back();
        awaited.pop_back();
        continue;
      }
      if (at - from.triedAtNs < pauseNs) {
        ++turn;
        continue;
      }
      const unsigned tries = std::min(from.attempts, mostAtOnce);
      if (used + tries > receivesEach) break;
      from.attempts = 1;
      from.triedAtNs = at;
      for (unsigned one = 0; one < tries; ++one, ++used) {
        uring::Sqe* sqe = ring.next();
        sqe->opcode = uring::opReceive;
        sqe->flags = uring::sqeFixedFile;
        sqe->fd = streams[awaited[turn] ^ 1].sendFile;
        sqe->addr = reinterpret_cast<uint64_t>(&places[static_cast<size_t>(used) * slotOctets]);
        sqe->len = slotOctets;
        sqe->opFlags = MSG_DONTWAIT;
        sqe->userData = used;
        streamOf[used] = awaited[turn];
      }
      ++turn;
    }
  };

  for (uint64_t at = start; at < drainEnd; at = now()) {
    if (!measuring && at >= measureFrom) {
      measuring = true;
      std::printf("measure\n");
      std::fflush(stdout);
    }
    if (!ended && at >= end) {
      ended = true;
      std::printf("end\n");
      std::fflush(stdout);
    }
    if (!ended) {
      const auto due = static_cast<uint64_t>(static_cast<double>(at - start) * rate / 1e9);
      if (due > index) behindNs = std::max(behindNs, static_cast<uint64_t>(static_cast<double>(due - index) / rate * 1e9));
      for (unsigned batch = 0; index < due && batch < sendsEach; ++batch, ++index) {
        uring::Sqe* sqe = ring.next();
        if (sqe == nullptr) break;
        const auto number = static_cast<unsigned>(index % streamCount);
        Stream& stream = streams[number];
        uint8_t* packet = &slots[static_cast<size_t>(batch) * slotOctets];
        size_t length = 12 + payload;
        writePacket(packet, number, stream.sent, payload);
        if (stream.key != nullptr) {
          sealRtp(ciphers, suite, *stream.key, packet, length, 12, static_cast<uint32_t>(stream.sent >> 16));
          length += rtpTrailer(suite, *stream.key);
        }
        stream.sentUs[stream.sent % remembered] = static_cast<uint32_t>(now() / 1000);
        ++stream.sent;
        stream.sentAtNs = at;
        if (!stream.awaited) stream.triedAtNs = at;
        if (!stream.awaited) awaited.push_back(number);
        stream.awaited = true;
        if (measuring) ++sentInTime;
        sqe->opcode = uring::opSend;
        sqe->flags = uring::sqeSkipSuccess | uring::sqeFixedFile;
        sqe->fd = stream.sendFile;
        sqe->addr = reinterpret_cast<uint64_t>(packet);
        sqe->len = static_cast<uint32_t>(length);
        sqe->opFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
        sqe->userData = tagSend;
      }
    }
    if (polled) {
      queue.settle();
      const ssize_t length = recv(sockets[0], places.data(), slotOctets, MSG_DONTWAIT);
      if (length >= 0) arrived(places.data(), static_cast<int>(length), 1, now());
    }
    tryReceives(at);
    ring.submit();
    const uint64_t read = now();
    ring.reap(ring.ready(), [&](uring::Cqe const& cqe) {
      if (cqe.userData == tagSend) {
        ++sendErrors;
      } else if (cqe.result >= 0) {
        arrived(&places[cqe.userData * slotOctets], cqe.result, streamOf[cqe.userData], read);
      }
    });
  }

  std::sort(delays.begin(), delays.end());
  const auto quantile = [&](double part) {
    return delays.empty() ? 0u : delays[std::min(delays.size() - 1, static_cast<size_t>(part * static_cast<double>(delays.size())))];
  };
  std::printf("{\"sent\":%llu,\"received\":%llu,\"sentInTime\":%llu,\"wrong\":%llu,\"sendErrors\":%llu,\"behindUs\":%llu,",
              static_cast<unsigned long long>(index), static_cast<unsigned long long>(receivedTotal),
              static_cast<unsigned long long>(sentInTime), static_cast<unsigned long long>(wrong),
              static_cast<unsigned long long>(sendErrors), static_cast<unsigned long long>(behindNs / 1000));
  std::printf("\"delayUs\":{\"p50\":%u,\"p99\":%u,\"p999\":%u},\"samples\":[", quantile(0.5), quantile(0.99), quantile(0.999));
  for (size_t at = 0; at < samples.size(); ++at) {
    std::printf("%s[%u,\"", at == 0 ? "" : ",", samples[at].stream);
    for (const uint8_t octet : samples[at].octets) std::printf("%02x", octet);
    std::printf("\"]");
  }
  std::printf("]}\n");
  return 0;
}
