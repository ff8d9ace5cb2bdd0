#include "engine.hpp"
#include <sys/resource.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "epoll_thread.hpp"
#include "sockets.hpp"
#include "uring_thread.hpp"
#include "xdp_thread.hpp"

namespace sallyport {
namespace {

constexpr size_t fewestKeys = 1024;
/** Pairs of sockets. */
constexpr size_t mostKept = 4096;

/** What the operator's hard limit allows is what we take: four sockets a call. */
void raiseLimit(__rlimit_resource which) {
  rlimit limit;
  if (getrlimit(which, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(which, &limit);
}

std::string memoryTrouble(KeyPool::Trouble const& trouble) {
  std::string text = std::string("memory for keys cannot be locked: ") + std::strerror(trouble.error);
  if (trouble.limit > 0) {
    text += " (RLIMIT_MEMLOCK is " + std::to_string(trouble.limit) + " octets, " + std::to_string(trouble.needed) +
            " are needed)";
  }
  return text;
}

}  // namespace

std::unique_ptr<Engine> Engine::create(EngineOptions const& options, ThreadStats* stats, std::string& why,
                                       std::string& note) {
  std::unique_ptr<Engine> engine(new Engine);
  engine->options_ = options;
  raiseLimit(RLIMIT_NOFILE);
  raiseLimit(RLIMIT_MEMLOCK);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  EngineOptions& own = engine->options_;
  // The kernel bounds fixed files by the limit of open files.
  if (own.thread.fixedFiles > files.rlim_cur) own.thread.fixedFiles = static_cast<unsigned>(files.rlim_cur);
  own.thread.highestConnected = static_cast<int>(files.rlim_cur / 8 * 5);
  engine->kept_.bound(std::min(mostKept, static_cast<size_t>(files.rlim_cur / 16)));
  own.thread.receiveBuffer = own.receiveBuffer;
  own.thread.sendBuffer = own.sendBuffer;
  KeyPool::Trouble trouble;
  size_t keys = own.keys;
  while (!engine->pool_.reserve(keys, trouble)) {
    keys /= 2;
    if (keys < fewestKeys) return why = memoryTrouble(trouble), nullptr;
  }
  if (keys < own.keys) note += "room for " + std::to_string(keys) + " keys only: " + memoryTrouble(trouble) + "; ";
  if (!own.interfaces.empty()) {
    if (!engine->startXdp(stats[0], why, note)) return nullptr;
    return engine;
  }
  for (Io io : {Io::ioUring, Io::epoll}) {
    if (own.io != Io::automatic && own.io != io) continue;
    engine->ioUring_ = io == Io::ioUring;
    for (unsigned at = 0; at < own.threads; ++at) {
      ThreadSettings settings = own.thread;
      if (settings.core >= 0) settings.core += static_cast<int>(at);
      std::unique_ptr<PacketThread> thread;
      if (io == Io::ioUring) {
        thread = std::make_unique<UringThread>(settings, stats[at], engine->pool_);
      } else {
        thread = std::make_unique<EpollThread>(settings, stats[at], engine->pool_);
      }
      if (!thread->start(why)) break;
      engine->threads_.push_back(std::move(thread));
    }
    if (engine->threads_.size() == own.threads) {
      if (io == Io::epoll && own.io == Io::automatic) note += "epoll instead of io_uring: " + why + "; ";
      why.clear();
      engine->legsOf_.resize(own.threads);
      return engine;
    }
    for (auto& thread : engine->threads_) thread->stop();
    engine->threads_.clear();
  }
  return nullptr;
}

/** One thread: a queue of an interface brings packets of any leg, and legs are not shared between threads. */
bool Engine::startXdp(ThreadStats& stats, std::string& why, std::string& note) {
  auto thread = std::make_unique<XdpThread>(options_.thread, stats, pool_, options_.interfaces);
  if (!thread->start(why)) return false;
  manner_ = thread->manner();
  note += thread->note();
  threads_.push_back(std::move(thread));
  legsOf_.resize(1);
  return true;
}

Engine::~Engine() {
  for (auto& thread : threads_) thread->stop();
  drain([](uint32_t, Counters const&, bool) {});
}

PacketThread& Engine::leastBusy() {
  // The two legs of a call are opened one after the other: on one thread they need not move to be joined.
  if (lastOpened_ != nullptr && lastOpened_->joined == nullptr) return *lastOpened_->home;
  size_t best = 0;
  for (size_t at = 1; at < legsOf_.size(); ++at) {
    if (legsOf_[at] < legsOf_[best]) best = at;
  }
  return *threads_[best];
}

int Engine::prepare(uint32_t leg, LegChange const& change, Refusal& refusal) {
  PacketThread& home = leastBusy();
  auto slot = std::make_unique<Slot>(leg, home, home.worker, pool_, sendKeys_);
  std::unique_ptr<Update> update = slot->ledger.prepare(change, nowNs(), refusal);
  if (update == nullptr) {
    owner_ = slot->ledger.owner();
    return -1;
  }
  int index;
  if (free_.empty()) {
    index = static_cast<int>(slots_.size());
    slots_.emplace_back();
    waiting_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  slot->index = index;
  slots_[static_cast<size_t>(index)] = std::move(slot);
  waiting_[static_cast<size_t>(index)] = std::move(update);
  return index;
}

int Engine::bind(int index, Address const& local) {
  Slot& slot = *slots_[static_cast<size_t>(index)];
  const int done = openSockets(local, slot);
  if (done < 0) return done;
  slot.ipv6 = local.family == 6;
  slot.ports[0].local = local;
  slot.ports[1].local = above(local);
  for (size_t at = 0; at < threads_.size(); ++at) {
    if (threads_[at].get() == slot.home) ++legsOf_[at];
  }
  Command command;
  command.kind = CommandKind::open;
  command.slot = &slot;
  command.update = waiting_[static_cast<size_t>(index)].release();
  ++slot.underWay;
  slot.home->send(command);
  lastOpened_ = lastOpened_ != nullptr && lastOpened_->joined == nullptr ? nullptr : &slot;
  return 0;
}

int Engine::openSockets(Address const& local, Slot& slot) {
  Wire& rtp = slot.ports[0].wires[0];
  Wire& rtcp = slot.ports[1].wires[0];
  SocketPair sockets;
  if (kept_.take(local, sockets, nowNs())) {
    rtp.drops = dropsOf(sockets.rtp);
    rtcp.drops = dropsOf(sockets.rtcp);
  } else {
    int done = openPair(local, options_.receiveBuffer, options_.sendBuffer, sockets);
    if (done == -EMFILE || done == -ENFILE || done == -ENOBUFS || done == -ENOMEM) {
      // What is kept for later must not be what lacks now.
      kept_.clear();
      done = openPair(local, options_.receiveBuffer, options_.sendBuffer, sockets);
    }
    if (done < 0) return done;
  }
  rtp.fd = sockets.rtp;
  rtcp.fd = sockets.rtcp;
  return 0;
}

bool Engine::keepSockets(Slot& slot) {
  Port& rtp = slot.ports[0];
  Port& rtcp = slot.ports[1];
  const SocketPair sockets{std::exchange(rtp.wires[0].fd, -1), std::exchange(rtcp.wires[0].fd, -1)};
  return kept_.give(rtp.local, sockets, nowNs());
}

void Engine::abandon(int index) {
  Slot& slot = *slots_[static_cast<size_t>(index)];
  slot.ledger.settle();
  waiting_[static_cast<size_t>(index)].reset();
  slot.ledger.close();
  slots_[static_cast<size_t>(index)].reset();
  free_.push_back(index);
}

Refusal Engine::change(int index, LegChange const& change) {
  Slot& slot = *slots_[static_cast<size_t>(index)];
  Refusal refusal = Refusal::none;
  Command command;
  command.kind = CommandKind::change;
  command.slot = &slot;
  command.update = slot.ledger.prepare(change, nowNs(), refusal).release();
  owner_ = slot.ledger.owner();
  if (command.update == nullptr) return refusal;
  ++slot.underWay;
  slot.home->send(command);
  return refusal;
}

void Engine::join(int indexA, int indexB) {
  Slot& a = *slots_[static_cast<size_t>(indexA)];
  Slot& b = *slots_[static_cast<size_t>(indexB)];
  for (Slot* one : {&a, &b}) {
    if (one->joined == nullptr) continue;
    one->joined->joined = nullptr;
    one->joined = nullptr;
  }
  if (a.home != b.home) {
    Command part;
    part.kind = CommandKind::part;
    part.slot = &b;
    b.home->send(part);
    Command move;
    move.kind = CommandKind::move;
    move.slot = &b;
    move.to = a.home;
    b.home->send(move);
    for (size_t at = 0; at < threads_.size(); ++at) {
      if (threads_[at].get() == b.home) --legsOf_[at];
      if (threads_[at].get() == a.home) ++legsOf_[at];
    }
    b.home = a.home;
  }
  Command command;
  command.kind = CommandKind::join;
  command.slot = &a;
  command.other = &b;
  a.home->send(command);
  a.joined = &b;
  b.joined = &a;
}

bool Engine::close(int index) {
  Slot& slot = *slots_[static_cast<size_t>(index)];
  if (slot.joined != nullptr) slot.joined->joined = nullptr;
  slot.joined = nullptr;
  if (lastOpened_ == &slot) lastOpened_ = nullptr;
  Command command;
  command.kind = CommandKind::close;
  command.slot = &slot;
  return slot.home->send(command);
}

void Engine::settle(Slot& slot, Update* update) {
  --slot.underWay;
  slot.ledger.settle();
  delete update;
}

void Engine::forget(Slot& slot) {
  slot.ledger.close();
  for (size_t at = 0; at < threads_.size(); ++at) {
    if (threads_[at].get() == slot.home) --legsOf_[at];
  }
  const int index = slot.index;
  slots_[static_cast<size_t>(index)].reset();
  free_.push_back(index);
}

bool Engine::nextEvent(Event& event) {
  for (auto& thread : threads_) {
    if (thread->events.pop(event)) return true;
  }
  return false;
}

}  // namespace sallyport
