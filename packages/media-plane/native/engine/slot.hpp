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

enum class PortState : uint8_t { idle, listening, leaving };

struct Port {
  int fd = -1;
  /** Index among the ring's fixed files, -1: none. */
  int32_t file = -1;
  PortState state = PortState::idle;
  Flow flow = Flow::rtp;
  /** Asked to leave, or to be listened to again once buffers are back. */
  bool waiting = false;
  /** What SK_MEMINFO_DROPS said last. */
  uint32_t drops = 0;
  Slot* slot = nullptr;
};

struct SlotCounters {
  Counters figures;
};

/** Made and deleted by CONTROL; between `open` and `closed` all but the ledger is its thread's. */
struct Slot final : SlotCounters, Leg {
  Slot(uint32_t id, PacketThread& home, Worker& worker, KeyPool& pool, SendKeys& keys)
      : Leg(id, worker, figures), ledger(id, pool, keys), home(&home) {
    ports[0].flow = Flow::rtp;
    ports[1].flow = Flow::rtcp;
    ports[0].slot = ports[1].slot = this;
  }
  ~Slot() {
    for (Port& port : ports) {
      if (port.fd >= 0) ::close(port.fd);
    }
  }

  Port ports[2];
  bool ipv6 = false;
  uint8_t marked = 0;
  bool closing = false;
  PacketThread* movingTo = nullptr;
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
