// Owns the place of one leg in the engine: the core's leg, its counters, its two sockets and which thread it is with. Knows no
// JavaScript.
#pragma once
#include <unistd.h>
#include <atomic>
#include <cstdint>

#include "../core/leg.hpp"

namespace sallyport {

class PacketThread;
struct Slot;

struct Port;

/** One socket of a port. */
struct Wire {
  static constexpr int32_t notFixed = -1, unused = -2;
  int fd = -1;
  /** Index among the ring's fixed files. */
  int32_t file = unused;
  bool listening = false;
  /** Of the io_uring thread: when it was last ready, how many datagrams were tried for then, and how many there were. */
  uint8_t tries = 0, got = 0;
  uint32_t round = 0;
  /** What SK_MEMINFO_DROPS said last. */
  uint32_t drops = 0;
  Port* port = nullptr;
};

/**
 * A local port. Its first socket hears everybody; the second, where there is one, is bound to the same port and connected to where
 * the flow sends steadily: the kernel looks the route up once instead of for each packet. What comes from there comes by it.
 */
struct alignas(64) Port {
  Wire wires[2];
  Flow flow = Flow::rtp;
  /** Packets sent in a row to `to`; where a connected peer refused, none is connected again for a while. */
  uint8_t steady = 0;
  bool connected = false;
  /** Of the xdp engine: datagrams come past the sockets too, and leave by the hop known under this number. */
  bool direct = false;
  uint32_t hop = 0, hopSerial = 0;
  Slot* slot = nullptr;
  Address to;
  uint64_t notBeforeNs = 0;
  /** What it is bound to. */
  Address local;
  /** What the second socket is connected to, as long as there is one. */
  Address peer;

  /** PACKETS. Fetches ahead what a packet by its sockets, or past them, needs of it. */
  void warm() const { Contexts::warm(this, 3); }
  void warmDirect() const { Contexts::warm(&flow, 2); }
};

struct SlotCounters {
  Counters figures;
};

/** Made and deleted by CONTROL; between `open` and `closed` all but the ledger is its thread's. */
struct Slot final : SlotCounters, Leg {
  Slot(uint32_t id, PacketThread& thread, Worker& worker, KeyPool& pool, SendKeys& keys)
      : Leg(id, worker, figures), ledger(id, pool, keys), home(&thread) {
    ports[0].flow = Flow::rtp;
    ports[1].flow = Flow::rtcp;
    for (Port& port : ports) {
      port.slot = this;
      for (Wire& wire : port.wires) wire.port = &port;
    }
  }
  ~Slot() {
    for (Port& port : ports) {
      for (Wire& wire : port.wires) {
        if (wire.fd >= 0) ::close(wire.fd);
      }
    }
  }
  template <typename Use>
  void eachWire(Use&& use) {
    for (Port& port : ports) {
      for (Wire& wire : port.wires) {
        if (wire.fd >= 0) use(wire);
      }
    }
  }

  Port ports[2];
  bool ipv6 = false;
  uint8_t marked = 0;
  /** Place among its thread's legs. */
  uint32_t place = 0;
  /** Whose it is now; commands of another thread wait until it has come. */
  std::atomic<PacketThread*> owner{nullptr};
  Slot* nextArrival = nullptr;

  // CONTROL's own.
  int index = -1;
  /** Updates that have not come back. */
  unsigned underWay = 0;
  bool gone = false;
  Ledger ledger;
  PacketThread* home;
  Slot* joined = nullptr;
};

}  // namespace sallyport
