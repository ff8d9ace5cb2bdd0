// Owns the engine as CONTROL sees it: threads, legs, keys. One thread calls it; none of its calls waits for a packet thread but
// where a thousand commands are under way. What a sleeping one is asked for is done at once. Knows no JavaScript.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "kept_sockets.hpp"
#include "packet_thread.hpp"
#include "record.hpp"

namespace sallyport {

enum class Io : uint8_t { automatic = 0, ioUring = 1, epoll = 2 };

struct EngineOptions {
  unsigned threads = 1;
  Io io = Io::automatic;
  ThreadSettings thread;
  /** Octets; 0: the system's. */
  int receiveBuffer = 0, sendBuffer = 0;
  /** Named: packets go past the sockets of these, by one thread. */
  std::vector<std::string> interfaces;
  /** Keys of all legs that may be in memory; fewer where less memory may be locked. */
  size_t keys = 65536;
};

class Engine {
 public:
  /** Null, and `why` it cannot start. Else `note` may say what it goes without. `stats` has room for every thread. */
  static std::unique_ptr<Engine> create(EngineOptions const& options, ThreadStats* stats, std::string& why,
                                        std::string& note);
  ~Engine();

  /** A leg and its keys, no socket yet: gives its index, or -1 and why. */
  int prepare(uint32_t leg, LegChange const& change, Refusal& refusal);
  /** Binds it and lets packets flow: 0 or -errno, then another port may be tried. */
  int bind(int index, Address const& local);
  /** A leg that was never bound. */
  void abandon(int index);
  Refusal change(int index, LegChange const& change);
  void join(int a, int b);
  /** It is reported by `drain` when its sockets are gone. True: they are. */
  bool close(int index);
  /** Which leg has the key, after Refusal::otherLeg. */
  uint32_t owner() const { return owner_; }

  Counters const& counters(int index) const { return slots_[static_cast<size_t>(index)]->figures; }
  /** Settles what threads told back; `closed(leg, counters, kept)` for each leg that is gone, and whether its sockets are not. */
  template <typename Closed>
  void drain(Closed&& closed) {
    for (auto& thread : threads_) {
      for (Completion* told = thread->told(); told != nullptr; told = thread->told()) {
        const Completion copy = *told;
        thread->taken();
        if (copy.update != nullptr) {
          settle(*copy.slot, copy.update);
        } else {
          copy.slot->gone = true;
        }
        // An update may come back by another thread than the end of a leg that had moved.
        if (!copy.slot->gone || copy.slot->underWay > 0) continue;
        const bool kept = keepSockets(*copy.slot);
        closed(copy.slot->id(), copy.slot->figures, kept);
        forget(*copy.slot);
      }
    }
  }
  /** To be called now and then: closes sockets that were kept for calls which did not come. */
  void expire() { kept_.expire(nowNs()); }
  bool nextEvent(Event& event);
  bool usesIoUring() const { return ioUring_; }
  /** How the named interfaces are served; empty where none is named. */
  std::string const& manner() const { return manner_; }

 private:
  Engine() = default;
  void settle(Slot& slot, Update* update);
  void forget(Slot& slot);
  bool keepSockets(Slot& slot);
  int openSockets(Address const& local, Slot& slot);
  bool startXdp(ThreadStats& stats, std::string& why, std::string& note);
  PacketThread& leastBusy();

  EngineOptions options_;
  bool ioUring_ = false;
  std::string manner_;
  // Each of these is used by what stands below it.
  KeyPool pool_;
  KeptSockets kept_;
  std::vector<std::unique_ptr<PacketThread>> threads_;
  std::vector<size_t> legsOf_;
  SendKeys sendKeys_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Update>> waiting_;
  std::vector<int> free_;
  Slot* lastOpened_ = nullptr;
  uint32_t owner_ = 0;
};

}  // namespace sallyport
