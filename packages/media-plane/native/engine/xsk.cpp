#include "xsk.hpp"
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "steer.hpp"

namespace sallyport::xdp {
namespace {

/** Of what is being sent: each frame of a full ring is copied into an skb of some 768 octets. */
constexpr int sendBuffer = 4 << 20;
/** What the kernel takes at a time, unless told otherwise. */
constexpr uint32_t framesEachCall = 32;

template <typename Item>
bool map(int fd, RingOffsets const& offsets, uint64_t page, uint32_t entries, SharedRing<Item>& ring) {
  ring.entries = entries;
  ring.octets = offsets.descriptors + entries * sizeof(Item);
  void* const at = mmap(nullptr, ring.octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, static_cast<off_t>(page));
  if (at == MAP_FAILED) return false;
  auto* const base = static_cast<uint8_t*>(at);
  ring.mapping = at;
  ring.producer = reinterpret_cast<uint32_t*>(base + offsets.producer);
  ring.consumer = reinterpret_cast<uint32_t*>(base + offsets.consumer);
  ring.flags = reinterpret_cast<uint32_t*>(base + offsets.flags);
  ring.items = reinterpret_cast<Item*>(base + offsets.descriptors);
  return true;
}

template <typename Item>
void unmap(SharedRing<Item>& ring) {
  if (ring.mapping != nullptr) munmap(ring.mapping, ring.octets);
}

}  // namespace

std::string socketsRefused(int error) {
  return std::string("AF_XDP sockets are refused: ") + std::strerror(error) + helpFor(error);
}

Socket::~Socket() {
  unmap(rx);
  unmap(tx);
  unmap(fill_);
  unmap(completion_);
  if (fd_ >= 0) ::close(fd_);
}

int Socket::open(Umem& umem, uint32_t receiveEntries, Socket const* first, std::string& why) {
  const auto refused = [&why](char const* what) {
    const int error = errno;
    why = std::string(what) + ": " + std::strerror(error) + helpFor(error);
    return error;
  };
  fd_ = socket(familyXdp, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    const int error = errno;
    return why = socketsRefused(error), error;
  }
  if (first == nullptr) {
    UmemRegistration memory{};
    memory.address = reinterpret_cast<uint64_t>(umem.memory());
    memory.length = umem.octets();
    memory.frameSize = umem.frameSize();
    if (setsockopt(fd_, levelXdp, optionUmem, &memory, sizeof memory) != 0) return refused("memory for packets is refused");
  }
  // Before the rings: each needs its size first, and is mapped then.
  for (const int ring : {optionRx, optionTx, optionFill, optionCompletion}) {
    const uint32_t entries = ring == optionRx || ring == optionFill ? receiveEntries : sendEntries;
    if (setsockopt(fd_, levelXdp, ring, &entries, sizeof entries) != 0) return refused("an AF_XDP ring is refused");
  }
  Offsets offsets{};
  socklen_t length = sizeof offsets;
  if (getsockopt(fd_, levelXdp, optionOffsets, &offsets, &length) != 0 || length != sizeof offsets) {
    return errno = EINVAL, refused("the AF_XDP rings are older than Linux 5.4");
  }
  if (!map(fd_, offsets.rx, pageRx, receiveEntries, rx) || !map(fd_, offsets.tx, pageTx, sendEntries, tx) ||
      !map(fd_, offsets.fill, pageFill, receiveEntries, fill_) ||
      !map(fd_, offsets.completion, pageCompletion, sendEntries, completion_)) {
    return refused("an AF_XDP ring cannot be mapped");
  }
  setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &sendBuffer, sizeof sendBuffer);
  // Newer kernels only: else a call sends 32 frames.
  const uint32_t budget = sendEntries / 2;
  setsockopt(fd_, levelXdp, optionTxBudget, &budget, sizeof budget);
  return 0;
}

int Socket::bind(uint32_t interface, uint32_t queue, uint16_t flags, Socket const* first) {
  SocketName name{};
  name.family = familyXdp;
  name.interface = interface;
  name.queue = queue;
  // Those that share the memory are bound as the first was.
  name.flags = first == nullptr ? flags : bindShared;
  name.umemFd = first == nullptr ? 0 : static_cast<uint32_t>(first->fd_);
  return ::bind(fd_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
}

void Socket::fill(Umem& umem) {
  uint64_t frame;
  bool more = false;
  while (filled_ < fill_.entries && fill_.room() > 0 && umem.take(frame)) {
    fill_.item(fill_.place) = frame;
    ++fill_.place;
    ++filled_;
    more = true;
  }
  if (more) fill_.publish();
  if (fill_.needsWakeup()) recvfrom(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

void Socket::reap(Umem& umem) {
  const uint32_t count = completion_.waiting();
  for (uint32_t at = 0; at < count; ++at) umem.give(completion_.item(completion_.place + at));
  if (count == 0) return;
  completion_.place += count;
  completed_ += count;
  completion_.release();
}

void Socket::send() {
  if (!unsent_) return;
  tx.publish();
  // One call sends a few dozen frames where they are copied, and says EAGAIN when there are more. What stays goes in the next round.
  if (tx.needsWakeup()) {
    for (uint32_t calls = (tx.place - tx.theirs(tx.consumer)) / framesEachCall + 2; calls > 0; --calls) {
      if (sendto(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
  }
  unsent_ = tx.theirs(tx.consumer) != tx.place;
}

uint64_t Socket::drops() const {
  Statistics statistics{};
  socklen_t length = sizeof statistics;
  // Older kernels tell the first three.
  if (getsockopt(fd_, levelXdp, optionStatistics, &statistics, &length) != 0) return 0;
  return statistics.rxDropped + statistics.rxRingFull;
}

}  // namespace sallyport::xdp
