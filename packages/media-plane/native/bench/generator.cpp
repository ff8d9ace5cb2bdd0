// A media load on its own core: every call has its own ports on both sides, SRTP from the UE and RTP from the core at a fixed
// total rate, evenly spread. Tells what was sent, what came, how long it took, and gives a sample of it to be verified.
//
// Calls stand on standard input, one a line: uePort corePort relayUePort relayCorePort keyOfTheUe(hex).
// Arguments: local address, relay's address, suite (number), rate (packets/s), warm-up and measured time (ms), core, payload octets.
#include <sched.h>
#include <unistd.h>
#include <algorithm>
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

using namespace sallyport;

namespace {

constexpr unsigned queue = 512, bufferCount = 8192, bufferOctets = 512, slotOctets = 512;
constexpr unsigned remembered = 4096, sampleEvery = 97, samplesEach = 200;
constexpr uint64_t sampleBelow = 30'000, tagWake = ~uint64_t{0};
constexpr uint8_t opReceive = 27;

struct Sample {
  unsigned stream;
  std::vector<uint8_t> octets;
};

/** One direction of one call. */
struct Stream {
  int sendFile = 0;
  SocketAddress to;
  socklen_t toLength = 0;
  /** Only from the UE. */
  std::unique_ptr<SessionKey> key;
  uint64_t sent = 0, received = 0;
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

int openSocket(Address const& local) {
  SocketAddress address;
  const socklen_t length = toSystem(local, address);
  const int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int size = 1 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  if (fd < 0 || bind(fd, &address.any, length) != 0) fail("cannot bind port " + std::to_string(local.port));
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
  if (count < 9) fail("arguments: local relay suite rate warmMs measureMs core payload");
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
    sockets.push_back(openSocket(addressOf(local, static_cast<uint16_t>(uePort))));
    sockets.push_back(openSocket(addressOf(local, static_cast<uint16_t>(corePort))));
    Stream up, down;
    up.sendFile = ue;
    up.toLength = toSystem(addressOf(relay, static_cast<uint16_t>(relayUe)), up.to);
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
    down.toLength = toSystem(addressOf(relay, static_cast<uint16_t>(relayCore)), down.to);
    streams.push_back(std::move(up));
    streams.push_back(std::move(down));
  }

  uring::Ring ring;
  std::string why;
  if (!ring.open(queue, 32768, why) || !ring.provideBuffers(bufferCount, bufferOctets, why)) fail(why);
  if (!ring.sparseFiles(static_cast<unsigned>(sockets.size()))) fail("no fixed files");
  const auto listen = [&](unsigned file) {
    uring::Sqe* sqe = ring.next();
    if (sqe == nullptr) {
      ring.submit();
      sqe = ring.next();
    }
    sqe->opcode = opReceive;
    sqe->flags = uring::sqeBufferSelect | uring::sqeFixedFile;
    sqe->ioprio = uring::receiveMultishot;
    sqe->fd = static_cast<int32_t>(file);
    sqe->userData = file;
  };
  for (unsigned file = 0; file < sockets.size(); ++file) {
    ring.setFile(file, sockets[file]);
    listen(file);
  }
  ring.submit();

  std::vector<uint8_t> slots(static_cast<size_t>(queue) * slotOctets);
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

  const auto arrived = [&](uring::Cqe const& cqe, uint64_t at) {
    if (cqe.userData == tagWake) {
      ++sendErrors;
      return;
    }
    if ((cqe.flags & uring::cqeBuffer) != 0) {
      const unsigned id = cqe.flags >> uring::cqeBufferShift;
      uint8_t const* packet = ring.buffer(id);
      const uint32_t stream = cqe.result >= 12 ? get32(packet + 8) - firstSsrc : ~0u;
      // What the UE sent must come out at the core of the same call, and the other way.
      if (stream >= streamCount || (stream ^ 1) != cqe.userData) {
        ++wrong;
      } else {
        Stream& from = streams[stream];
        ++from.received;
        ++receivedTotal;
        const unsigned sequence = static_cast<unsigned>(packet[2]) << 8 | packet[3];
        const auto delay = static_cast<uint32_t>(at / 1000) - from.sentUs[sequence % remembered];
        if (measuring && !ended) delays.push_back(delay);
        unsigned& taken = stream % 2 == 0 ? upSamples : downSamples;
        if (++sampled % sampleEvery == 0 && from.sent < sampleBelow && taken < samplesEach) {
          ++taken;
          samples.push_back({stream, std::vector<uint8_t>(packet, packet + cqe.result)});
        }
      }
      ring.recycle(id);
    }
    if ((cqe.flags & uring::cqeMore) == 0) listen(static_cast<unsigned>(cqe.userData));
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
      for (unsigned batch = 0; index < due && batch < 64; ++batch, ++index) {
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
        if (measuring) ++sentInTime;
        sqe->opcode = uring::opSend;
        sqe->flags = uring::sqeSkipSuccess | uring::sqeFixedFile;
        sqe->fd = stream.sendFile;
        sqe->addr = reinterpret_cast<uint64_t>(packet);
        sqe->len = static_cast<uint32_t>(length);
        sqe->opFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
        sqe->addr2 = reinterpret_cast<uint64_t>(&stream.to);
        sqe->addrLen = static_cast<uint16_t>(stream.toLength);
        sqe->userData = tagWake;
      }
    }
    ring.submitAndWait(0, 0, 0);
    const uint64_t read = now();
    if (ring.reap(ring.ready(), [&](uring::Cqe const& cqe) { arrived(cqe, read); }) > 0) ring.publishBuffers();
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
