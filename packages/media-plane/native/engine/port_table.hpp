// Owns which port of a leg an address and port number of ours is: an array for each address. One thread's alone.
#pragma once
#include <sys/mman.h>
#include <cstdint>
#include <vector>

#include "slot.hpp"

namespace sallyport::xdp {

class PortTable {
 public:
  PortTable() = default;
  ~PortTable() {
    for (Host const& host : hosts_) munmap(host.ports, octets);
  }
  PortTable(PortTable const&) = delete;
  PortTable& operator=(PortTable const&) = delete;

  /** False: there are too many addresses, or no memory. */
  bool add(Port& port) {
    Host* host = hostOf(port.local);
    if (host == nullptr) {
      if (hosts_.size() == mostHosts) return false;
      // Only pages of ports in use become memory.
      void* const ports = mmap(nullptr, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (ports == MAP_FAILED) return false;
      hosts_.push_back({port.local, static_cast<Port**>(ports), 0});
      host = &hosts_.back();
    }
    host->ports[port.local.port] = &port;
    ++host->count;
    return true;
  }
  void remove(Port& port) {
    Host* const host = hostOf(port.local);
    host->ports[port.local.port] = nullptr;
    if (--host->count > 0) return;
    munmap(host->ports, octets);
    *host = hosts_.back();
    hosts_.pop_back();
  }
  Port* find(Address const& local) {
    Host const* const host = hostOf(local);
    return host == nullptr ? nullptr : host->ports[local.port];
  }

 private:
  struct Host {
    Address address;
    Port** ports;
    uint32_t count;
  };
  static constexpr size_t octets = 65536 * sizeof(Port*), mostHosts = 128;
  Host* hostOf(Address const& local) {
    for (Host& host : hosts_) {
      if (sameHost(host.address, local)) return &host;
    }
    return nullptr;
  }
  std::vector<Host> hosts_;
};

}  // namespace sallyport::xdp
