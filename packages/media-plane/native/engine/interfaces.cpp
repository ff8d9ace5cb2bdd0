#include "interfaces.hpp"
#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "../core/leg.hpp"
#include "frame.hpp"

namespace sallyport::xdp {
namespace {

/** Frames that wait for datagrams: what a queue can bring while this thread is kept from its core for a while. */
constexpr uint32_t receiveEntriesOf(size_t queues) { return queues <= 2 ? 8192 : queues <= 4 ? 4096 : 2048; }
/** The kernel lets go of a queue some time after the socket that had it is closed. */
constexpr unsigned busyTries = 200;
constexpr long busyPauseNs = 10'000'000;

bool attach(std::vector<std::string> const& names, Steer& steer, std::vector<Interface>& interfaces, std::string& why) {
  for (std::string const& name : names) {
    Interface one;
    if (!describe(name, one.link, why)) return false;
    // Between the two ends of a pair no octet goes wrong, and none of the kernels has finished the checksum.
    one.unfinished = one.link.driver == "veth";
    if (!steer.attach(name, one.link.index, one.link.mac, one.link.queues, one.attachment, why)) return false;
    interfaces.push_back(std::move(one));
  }
  return true;
}

bool openSockets(uint16_t flags, Steer& steer, Umem& umem, std::vector<Interface>& interfaces, std::string& why) {
  for (Interface& one : interfaces) one.queues.clear();
  size_t total = 0;
  uint32_t longest = 0;
  for (Interface const& one : interfaces) {
    total += std::min<size_t>(one.link.queues, mostQueues);
    longest = std::max(longest, one.link.mtu);
  }
  total = std::max(std::min(total, mostQueues), interfaces.size());
  // 256 octets stay free in front of a frame, and behind it there is room for what SRTP adds.
  const uint32_t frameSize = longest + frame::ethernetOctets + maxGrowth + 256 <= 2048 ? 2048 : 4096;
  // All that the rings can hold, so that no queue starves where another does not move.
  const uint32_t entries = receiveEntriesOf(total);
  const auto frames = static_cast<uint32_t>(total) * (entries + sendEntries);
  if (umem.frames() == 0 && !umem.open(frames, frameSize, why)) return false;
  Socket const* first = nullptr;
  for (size_t at = 0; at < interfaces.size(); ++at) {
    Interface& one = interfaces[at];
    const size_t left = total - (interfaces.size() - 1 - at);
    for (uint32_t queue = 0; queue < one.link.queues && queue < left; ++queue) {
      auto socket = std::make_unique<Socket>();
      if (socket->open(umem, entries, first, why) != 0) return false;
      int error = socket->bind(one.link.index, queue, flags, first);
      // The kernel lets go of a queue some time after the socket that had it is closed.
      for (unsigned tries = 0; error == EBUSY && tries < busyTries; ++tries) {
        const timespec pause{0, busyPauseNs};
        nanosleep(&pause, nullptr);
        error = socket->bind(one.link.index, queue, flags, first);
      }
      if (error != 0) {
        // The driver told of more queues than there are.
        if (error == EINVAL && queue > 0) break;
        why = one.link.name + ", queue " + std::to_string(queue) + ": " +
              (error == EBUSY ? "another AF_XDP socket has it: end the process that does" : std::strerror(error) + helpFor(error));
        return false;
      }
      if (first == nullptr) first = socket.get();
      one.queues.push_back(std::move(socket));
    }
    total -= one.queues.size();
  }
  for (Interface& one : interfaces) {
    for (uint32_t queue = 0; queue < one.queues.size(); ++queue) {
      if (!steer.serve(one.attachment, queue, one.queues[queue]->fd(), why)) return false;
    }
  }
  return true;
}

std::string mannerOf(std::vector<Interface> const& interfaces, bool zeroCopy) {
  std::string manner;
  for (Interface const& one : interfaces) {
    if (!manner.empty()) manner += ", ";
    manner += one.link.name + " (" + (one.attachment.native ? "native, " : "generic, ") +
               (zeroCopy ? "zero-copy, " : "copy, ") + std::to_string(one.queues.size()) +
               (one.queues.size() == 1 ? " queue" : " queues");
    if (one.queues.size() < one.link.queues) manner += " of " + std::to_string(one.link.queues);
    manner += ")";
  }
  return manner;
}

}  // namespace

bool open(std::vector<std::string> const& names, Steer& steer, Umem& umem, std::vector<Interface>& interfaces,
          std::string& manner, std::string& why) {
  // Before anything is attached.
  const Handle probe(socket(familyXdp, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return why = socketsRefused(errno), false;
  if (!attach(names, steer, interfaces, why)) return false;
  const bool native = std::all_of(interfaces.begin(), interfaces.end(), [](Interface const& one) { return one.attachment.native; });
  // All share the memory, so all are of one kind.
  const bool zeroCopy = native && openSockets(bindZeroCopy | bindNeedWakeup, steer, umem, interfaces, why);
  if (!zeroCopy && !openSockets(bindCopy | bindNeedWakeup, steer, umem, interfaces, why)) return false;
  manner = mannerOf(interfaces, zeroCopy);
  return true;
}

}  // namespace sallyport::xdp
