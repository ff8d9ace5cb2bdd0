// Owns one thread of the engine: its legs, the ring its commands come by, what it tells back, and the time-driven work. How packets
// come and go is a subclass's. No lock is taken and no memory is asked for on a packet's way.
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
  /** Under load packets are worked off at most this often, microseconds; 0: at once, always. */
  unsigned batchUs = 250;
  /** Packets a second above which a thread counts as loaded. */
  double loadedRate = 6000;
  /** Core to stay on, -1: any. */
  int core = -1;
  unsigned buffers = 2048;
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
  /** CONTROL. Waits where a thousand commands are still on their way. */
  void send(Command const& command);
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
  virtual void listen(Port& port) = 0;
  /** Stops listening; true when nothing of the port is under way any more, else `left` is called later. */
  virtual bool leave(Port& port) = 0;

  /** Works off what is under way, so that ports leave. */
  virtual void pump() {}

  /** Opens, changes, joins, closes as CONTROL asked; to be called before packets are worked off. */
  void takeCommands();
  /** Work that is due by time. */
  void tick(uint64_t nowNs);
  /** A port has left: its leg may be closed or given away now. */
  void left(Slot& slot);
  /** Declares that this thread is about to sleep; false: there is work, do not. */
  bool mayFallAsleep();
  void awake() { asleep_.store(false, std::memory_order_relaxed); }
  bool stopping() const { return stopping_; }
  /** Whether to wait for a batch, by the packets of the last hundredth of a second. */
  unsigned batchUs() const { return loaded_ ? settings_.batchUs : 0; }
  void sawPackets(unsigned count) {
    seen_ += count;
    if (count > deepest_) deepest_ = count;
  }

  ThreadSettings settings_;
  ThreadStats& stats_;
  int wakeFd_ = -1;

 private:
  void wake();
  void takeArrivals();
  void execute(Command& command);
  void tell(Slot* slot, Update* update);
  void leaveAll(Slot& slot);
  void removeLeg(Slot& slot);
  void measure(uint64_t nowNs);

  SpscRing<Command, 1024> commands_;
  SpscRing<Completion, 4096> completions_;
  std::vector<Completion> untold_;
  std::vector<Slot*> legs_;
  std::atomic<Slot*> arrivals_{nullptr};
  std::atomic<bool> asleep_{false};
  bool stopping_ = false, moving_ = false;
  bool loaded_ = false;
  unsigned seen_ = 0, deepest_ = 0;
  uint64_t rateAtNs_ = 0, tickAtNs_ = 0, secondAtNs_ = 0;
  double cpuAt_ = 0;
  size_t tickPlace_ = 0, dropPlace_ = 0;
  std::thread thread_;
};

/** Nanoseconds since 1970 that never go back: the monotonic clock, set by the wall clock at start. */
uint64_t nowNs();

}  // namespace sallyport
