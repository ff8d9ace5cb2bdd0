#include "packet_thread.hpp"
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "sockets.hpp"

namespace sallyport {
namespace {

constexpr uint64_t millisecond = 1'000'000;
constexpr uint64_t rateEveryNs = 10 * millisecond, tickEveryNs = 10 * millisecond, measureEveryNs = 100 * millisecond;
// A leg's time is looked at every 16 ticks, its sockets' losses every 128.
constexpr size_t tickParts = 16, dropParts = 128;
// To sleep and be woken costs some 20 us on a virtual machine. From the first rate on batches grow with it, up to twice as long.
constexpr double longerFrom = 50'000, longest = 2;

uint64_t nanoseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

const uint64_t epochOffset = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);

}  // namespace

uint64_t nowNs() { return epochOffset + nanoseconds(CLOCK_MONOTONIC); }

PacketThread::PacketThread(ThreadSettings const& settings, ThreadStats& stats, KeyPool& pool)
    : worker(events, pool), settings_(settings), stats_(stats) {
  untold_.reserve(1024);
  legs_.reserve(1024);
  steady_.reserve(mostSteady);
  fresh_.reserve(mostSteady);
}

PacketThread::~PacketThread() {
  if (wakeFd_ >= 0) close(wakeFd_);
}

bool PacketThread::start(std::string& why) {
  wakeFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wakeFd_ < 0) return why = std::string("eventfd: ") + std::strerror(errno), false;
  std::promise<bool> prepared;
  std::future<bool> outcome = prepared.get_future();
  thread_ = std::thread([this, &prepared, &why] {
    pthread_setname_np(pthread_self(), "sallyport-media");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    if (settings_.core >= 0) {
      cpu_set_t cores;
      CPU_ZERO(&cores);
      CPU_SET(settings_.core, &cores);
      pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
    }
    const bool ready = worker.ok() && prepare(why);
    if (!worker.ok()) why = "OpenSSL lacks a cipher of SRTP";
    prepared.set_value(ready);
    if (ready) run();
  });
  const bool running = outcome.get();
  if (!running) thread_.join();
  return running;
}

void PacketThread::stop() {
  if (!thread_.joinable()) return;
  send({});
  thread_.join();
}

bool PacketThread::send(Command const& command) {
  Command* room = commands_.room();
  while (room == nullptr) {
    if (!standIn()) sched_yield();
    room = commands_.room();
  }
  *room = command;
  commands_.publish();
  return standIn();
}

/** True: nothing is left to do. False: the thread is awake, or what stands first is its own; it will come to it. */
bool PacketThread::standIn() {
  // Either we see that it sleeps, or it sees the command before it does.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Holder nobody = Holder::nobody;
  if (!holder_.compare_exchange_strong(nobody, Holder::control)) return false;
  stoodIn_ = standingIn_ = true;
  takeCommands();
  standingIn_ = false;
  const bool done = commands_.size() == 0;
  holder_.store(Holder::nobody, std::memory_order_release);
  if (!done) wake();
  return done;
}

bool PacketThread::canStandIn(Command const& command) const {
  switch (command.kind) {
    case CommandKind::stop:
      return false;
    case CommandKind::close:
    case CommandKind::move:
      return !keeps(*command.slot);
    default:
      return true;
  }
}

/** Who holds the legs looks before it sleeps. */
void PacketThread::wake() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (holder_.load(std::memory_order_relaxed) != Holder::thread) eventfd_write(wakeFd_, 1);
}

void PacketThread::arrive(Slot& slot) {
  slot.nextArrival = arrivals_.load(std::memory_order_relaxed);
  while (!arrivals_.compare_exchange_weak(slot.nextArrival, &slot, std::memory_order_release)) {
  }
  wake();
}

bool PacketThread::mayFallAsleep() {
  holder_.store(Holder::nobody, std::memory_order_seq_cst);
  if (commands_.size() == 0 && arrivals_.load(std::memory_order_seq_cst) == nullptr && !stopping_) return true;
  awake();
  return false;
}

bool PacketThread::awake() {
  Holder found = Holder::nobody;
  while (!holder_.compare_exchange_weak(found, Holder::thread, std::memory_order_acquire)) {
    if (found == Holder::thread) return false;
    if (found == Holder::control) sched_yield();
    found = Holder::nobody;
  }
  return std::exchange(stoodIn_, false);
}

void PacketThread::takeArrivals() {
  for (Slot* slot = arrivals_.exchange(nullptr, std::memory_order_acquire); slot != nullptr;) {
    Slot* next = slot->nextArrival;
    slot->rehome(worker);
    slot->place = static_cast<uint32_t>(legs_.size());
    legs_.push_back(slot);
    slot->owner.store(this, std::memory_order_release);
    slot->eachWire([this](Wire& wire) { listen(wire); });
    slot = next;
  }
}

void PacketThread::takeCommands() {
  takeArrivals();
  for (Command* command = commands_.front(); command != nullptr; command = commands_.front()) {
    // A leg on its way from another thread: what is for it waits, and so does what was asked later. The other thread needs a
    // batch's time at most, and cannot be waiting for us but for what we were asked before.
    if (command->kind != CommandKind::open && command->kind != CommandKind::stop) {
      for (Slot* slot : {command->slot, command->other}) {
        while (slot != nullptr && slot->owner.load(std::memory_order_acquire) != this) {
          sched_yield();
          takeArrivals();
        }
      }
    }
    if (standingIn_ && !canStandIn(*command)) return;
    Command copy = *command;
    commands_.pop();
    execute(copy);
  }
}

void PacketThread::execute(Command& command) {
  Slot* slot = command.slot;
  switch (command.kind) {
    case CommandKind::open:
      slot->owner.store(this, std::memory_order_release);
      slot->place = static_cast<uint32_t>(legs_.size());
      legs_.push_back(slot);
      [[fallthrough]];
    case CommandKind::change: {
      slot->apply(*command.update, nowNs());
      if (slot->dscp() != slot->marked) {
        slot->marked = slot->dscp();
        slot->eachWire([slot](Wire& wire) { mark(wire.fd, slot->ipv6 ? AF_INET6 : AF_INET, slot->marked); });
      }
      if (command.kind == CommandKind::open) {
        slot->eachWire([this](Wire& wire) { listen(wire); });
      }
      return tell(slot, command.update);
    }
    case CommandKind::join:
      return Leg::join(*slot, *command.other);
    case CommandKind::part:
      return slot->part();
    case CommandKind::move:
      stats_.moves.add(1);
      return give(*slot, *command.to);
    case CommandKind::close:
      slot->Leg::close();
      return end(*slot);
    case CommandKind::stop:
      stopping_ = true;
      return;
  }
}

void PacketThread::leaveAll(Slot& slot) {
  fresh_.erase(std::remove_if(fresh_.begin(), fresh_.end(), [&](Port* port) { return port->slot == &slot; }), fresh_.end());
  slot.eachWire([this](Wire& wire) { leave(wire); });
  removeLeg(slot);
}

/** At once: the other thread waits for it. */
void PacketThread::give(Slot& slot, PacketThread& to) {
  leaveAll(slot);
  slot.owner.store(nullptr, std::memory_order_relaxed);
  to.arrive(slot);
}

void PacketThread::end(Slot& slot) {
  leaveAll(slot);
  // The first of each port is for CONTROL to close, or to keep as it was made.
  for (Port& port : slot.ports) {
    Wire& connected = port.wires[1];
    if (connected.fd >= 0) ::close(connected.fd);
    connected.fd = -1;
    if (slot.marked != 0) mark(port.wires[0].fd, slot.ipv6 ? AF_INET6 : AF_INET, 0);
  }
  tell(&slot, nullptr);
}

void PacketThread::removeLeg(Slot& slot) {
  for (Port*& port : steady_) {
    if (port != nullptr && port->slot == &slot) port = nullptr;
  }
  legs_[slot.place] = legs_.back();
  legs_[slot.place]->place = slot.place;
  legs_.pop_back();
}

void PacketThread::tell(Slot* slot, Update* update) {
  Completion* room = untold_.empty() ? completions_.room() : nullptr;
  if (room == nullptr) {
    untold_.push_back({slot, update});
  } else {
    *room = {slot, update};
    completions_.publish();
  }
  // Who stands in looks for itself.
  if (update == nullptr && !standingIn_) settings_.wake(settings_.wakeWith);
}

void PacketThread::tick(uint64_t now) {
  size_t told = 0;
  for (; told < untold_.size(); ++told) {
    Completion* room = completions_.room();
    if (room == nullptr) break;
    *room = untold_[told];
    completions_.publish();
  }
  if (told > 0) {
    untold_.erase(untold_.begin(), untold_.begin() + static_cast<std::ptrdiff_t>(told));
    settings_.wake(settings_.wakeWith);
  }
  if (now - rateAtNs_ >= rateEveryNs) {
    const double rate = seen_ * 1e9 / static_cast<double>(now - rateAtNs_);
    // Twice as easily kept as entered, so that a rate near the bound does not flutter.
    const bool loaded = rate > (batchUs_ > 0 ? settings_.loadedRate / 2 : settings_.loadedRate);
    batchUs_ = loaded ? static_cast<unsigned>(settings_.batchUs * std::clamp(rate / longerFrom, 1.0, longest)) : 0;
    stats_.batchUs.set(batchUs());
    seen_ = 0;
    rateAtNs_ = now;
  }
  if (now - tickAtNs_ >= tickEveryNs) {
    tickAtNs_ = now;
    for (size_t left = std::min(legs_.size(), legs_.size() / tickParts + 1); left > 0; --left) {
      if (++tickPlace_ >= legs_.size()) tickPlace_ = 0;
      Slot& slot = *legs_[tickPlace_];
      if (slot.deadline() <= now) slot.tick(now);
    }
    for (size_t left = std::min(legs_.size(), legs_.size() / dropParts + 1); left > 0; --left) {
      if (++dropPlace_ >= legs_.size()) dropPlace_ = 0;
      legs_[dropPlace_]->eachWire([this](Wire& wire) {
        const uint32_t drops = dropsOf(wire.fd);
        if (drops == wire.drops) return;
        stats_.lost.add(static_cast<double>(drops - wire.drops));
        wire.drops = drops;
      });
    }
    connectSteady(now);
  }
  measure(now);
}

void PacketThread::measure(uint64_t now) {
  const uint64_t elapsed = now - secondAtNs_;
  if (elapsed < measureEveryNs) return;
  const double cpu = static_cast<double>(nanoseconds(CLOCK_THREAD_CPUTIME_ID)) / 1e9;
  if (secondAtNs_ != 0) {
    const double load = (cpu - cpuAt_) * 1e9 / static_cast<double>(elapsed);
    stats_.load.set(stats_.load.get() * 0.6 + load * 0.4);
  }
  stats_.cpuSeconds.set(cpu);
  stats_.legs.set(static_cast<double>(legs_.size()));
  // Decays by halves: a peak is seen for a while by whoever polls once a second.
  stats_.queueDepth.set(std::max(static_cast<double>(deepest_), stats_.queueDepth.get() * 0.93));
  deepest_ = 0;
  cpuAt_ = cpu;
  secondAtNs_ = now;
}

}  // namespace sallyport
