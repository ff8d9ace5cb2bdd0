// Owns when a port gets a second socket, connected to where its flow sends steadily, and when that one is heard.
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>

#include "packet_thread.hpp"
#include "sockets.hpp"

namespace sallyport {
namespace {

// Connecting costs some 15 us: so many a tick stall no packet.
constexpr unsigned connectsEachTick = 16;
constexpr uint64_t refusedNs = 10'000'000'000;

}  // namespace

void PacketThread::wantConnected(Port& port) {
  if (steady_.size() < mostSteady) {
    steady_.push_back(&port);
  } else {
    // Asked again when others have had their turn.
    port.steady = 0;
  }
}

void PacketThread::moved(Port& port, Address const& to) {
  port.to = to;
  port.steady = 0;
  // The old one stays and hears until another takes its place; nothing is sent by it.
  port.connected = false;
}

void PacketThread::refusedBy(Port& port) {
  port.connected = false;
  port.steady = 0;
  port.notBeforeNs = nowNs() + refusedNs;
}

void PacketThread::connectSteady(uint64_t now) {
  for (unsigned left = connectsEachTick; left > 0 && !steady_.empty(); --left) {
    Port* port = steady_.back();
    steady_.pop_back();
    if (port == nullptr || port->connected || port->steady < settings_.steadyPackets) continue;
    if (now < port->notBeforeNs) {
      port->steady = 0;
      continue;
    }
    connectNow(*port, now);
  }
}

void PacketThread::connectNow(Port& port, uint64_t now) {
  Slot& slot = *port.slot;
  Wire& wire = port.wires[1];
  if (wire.fd >= 0) {
    // Connected elsewhere before. It goes, and a new one comes when the flow has been steady once more.
    port.steady = 0;
    fresh_.erase(std::remove(fresh_.begin(), fresh_.end(), &port), fresh_.end());
    leave(wire);
    ::close(wire.fd);
    wire = Wire{};
    wire.port = &port;
    return;
  }
  const int fd = openConnected(port.wires[0].fd, port.to, settings_.receiveBuffer, settings_.sendBuffer);
  if (fd < 0 || fd > settings_.highestConnected) {
    if (fd >= 0) ::close(fd);
    port.notBeforeNs = now + refusedNs;
    return;
  }
  wire = Wire{};
  wire.port = &port;
  wire.fd = fd;
  if (slot.marked != 0) mark(fd, slot.ipv6 ? AF_INET6 : AF_INET, slot.marked);
  fresh_.push_back(&port);
  port.peer = port.to;
  port.connected = true;
  stats_.connects.add(1);
}

void PacketThread::listenInOrder() {
  for (size_t at = 0; at < fresh_.size();) {
    Port& port = *fresh_[at];
    int waiting = 0;
    if (ioctl(port.wires[0].fd, FIONREAD, &waiting) == 0 && waiting > 0) {
      ++at;
      continue;
    }
    listen(port.wires[1]);
    fresh_[at] = fresh_.back();
    fresh_.pop_back();
  }
}

}  // namespace sallyport
