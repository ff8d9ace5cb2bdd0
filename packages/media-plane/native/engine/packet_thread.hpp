// Owns one thread of the engine: its legs, the ring its commands come by, what it tells back, and the time-driven work. How packets
// come and go is a subclass's. No lock is taken and no memory is asked for on a packet's way. While it sleeps CONTROL stands in for
// it: to be woken for a command costs more than most commands do.
#pragma once
#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "ring.hpp"
#include "slot.hpp"
#include "stats.hpp"

namespace sallyport {

enum class CommandKind : uint8_t { open, change, join, part, move, close, stop };

struct Command {
  CommandKind kind = CommandKind::stop;
  Slot* slot = nullptr;
  Slot* other = nullptr;
  Update* update = nullptr;
  PacketThread* to = nullptr;
};

/** `update` came back to be settled, or (null) the leg is closed and its sockets are gone. */
struct Completion {
  Slot* slot = nullptr;
  Update* update = nullptr;
};

struct ThreadSettings {
  /** Under load packets are worked off at most this often, microseconds, at high rates half as often; 0: at once, always. */
  unsigned batchUs = 250;
  /** Packets a second above which a thread counts as loaded. */
  double loadedRate = 6000;
  /** Core to stay on, -1: any. */
  int core = -1;
  /** After so many packets to one destination a socket of its own is connected to it; 0: never. */
  uint8_t steadyPackets = 50;
  /** Octets; 0: the system's. Of connected sockets; the first of a port has them when it comes. */
  int receiveBuffer = 0, sendBuffer = 0;
  /** Descriptors from here on are left for new calls. */
  int highestConnected = 1024;
  /** Datagrams of one round. */
  unsigned buffers = 1024;
  unsigned fixedFiles = 65536;
  /** Called by the thread when a leg is closed: CONTROL shall `drain`. */
  void (*wake)(void*) = nullptr;
  void* wakeWith = nullptr;
};

class PacketThread {
 public:
  PacketThread(ThreadSettings const& settings, ThreadStats& stats, KeyPool& pool);
  virtual ~PacketThread();
  PacketThread(PacketThread const&) = delete;
  PacketThread& operator=(PacketThread const&) = delete;

  /** CONTROL. False, and why: the thread is not running then. */
  bool start(std::string& why);
  /** CONTROL. Returns when the thread has ended; every leg was closed before. */
  void stop();
  /** CONTROL. Waits where a thousand commands are still on their way. True: all that was asked is done. */
  bool send(Command const& command);
  /** CONTROL. The oldest thing told back; `told` makes room for the next. */
  Completion* told() { return completions_.front(); }
  void taken() { completions_.pop(); }
  /** Another thread gives a leg. */
  void arrive(Slot& slot);

  EventRing events;
  Worker worker;

 protected:
  /** On the thread, before `run`. */
  virtual bool prepare(std::string& why) = 0;
  virtual void run() = 0;
  virtual void listen(Wire& wire) = 0;
  /** Stops listening: nothing of the socket is under way any more. */
  virtual void leave(Wire& wire) = 0;
  /** Whether `leave` is this thread's alone for one of the leg's sockets. */
  virtual bool keeps(Slot const&) const { return false; }

  /** Opens, changes, joins, closes as CONTROL asked; to be called before packets are worked off. */
  void takeCommands();
  /** Work that is due by time. */
  void tick(uint64_t nowNs);
  /** The socket a datagram to `to` leaves by; remembers ports that send steadily, to connect them. */
  Wire& wireFor(Port& port, Address const& to) {
    if (port.to == to) {
      if (port.connected) return port.wires[1];
      if (port.steady < settings_.steadyPackets && ++port.steady == settings_.steadyPackets) wantConnected(port);
      return port.wires[0];
    }
    moved(port, to);
    return port.wires[0];
  }
  /** Listens to connected sockets once what came before them is read: packets stay in order. */
  void listenInOrder();
  /** A connected peer refuses (ICMP): its port goes on with the socket that is not told of it. */
  void refusedBy(Port& port);
  /** Declares that this thread is about to sleep, and lets go of its legs; false: there is work, do not. */
  bool mayFallAsleep();
  /** Takes the legs back. True: CONTROL had them meanwhile, and what was learned in between of sockets may hold no more. */
  bool awake();
  bool stopping() const { return stopping_; }
  /** How long to wait for a batch, by the packets of the last hundredth of a second; 0: not at all. */
  unsigned batchUs() const { return batchUs_; }
  void sawPackets(unsigned count) {
    seen_ += count;
    if (count > deepest_) deepest_ = count;
  }

  ThreadSettings settings_;
  ThreadStats& stats_;
  int wakeFd_ = -1;

 private:
  /** Whose the legs are, and all else that is not CONTROL's. */
  enum class Holder : uint8_t { thread, nobody, control };
  void wake();
  bool standIn();
  bool canStandIn(Command const& command) const;
  void takeArrivals();
  void execute(Command& command);
  void tell(Slot* slot, Update* update);
  void leaveAll(Slot& slot);
  void give(Slot& slot, PacketThread& to);
  void end(Slot& slot);
  void removeLeg(Slot& slot);
  void wantConnected(Port& port);
  void moved(Port& port, Address const& to);
  void connectSteady(uint64_t nowNs);
  void connectNow(Port& port, uint64_t nowNs);
  void measure(uint64_t nowNs);

  static constexpr size_t mostSteady = 4096;
  SpscRing<Command, 1024> commands_;
  SpscRing<Completion, 4096> completions_;
  std::vector<Completion> untold_;
  std::vector<Slot*> legs_;
  /** Ports to connect, by leg: a leg may go before its turn. */
  std::vector<Port*> steady_;
  /** Ports whose connected socket is not listened to yet. */
  std::vector<Port*> fresh_;
  std::atomic<Slot*> arrivals_{nullptr};
  std::atomic<Holder> holder_{Holder::thread};
  /** CONTROL has stood in since the thread fell asleep. */
  bool stoodIn_ = false;
  /** It is CONTROL that runs. */
  bool standingIn_ = false;
  bool stopping_ = false;
  unsigned batchUs_ = 0;
  unsigned seen_ = 0, deepest_ = 0;
  uint64_t rateAtNs_ = 0, tickAtNs_ = 0, secondAtNs_ = 0;
  double cpuAt_ = 0;
  size_t tickPlace_ = 0, dropPlace_ = 0;
  std::thread thread_;
};

/** Nanoseconds since 1970 that never go back: the monotonic clock, set by the wall clock at start. */
uint64_t nowNs();

}  // namespace sallyport
