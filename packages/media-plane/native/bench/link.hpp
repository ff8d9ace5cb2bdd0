// Owns how the load's end of a pair of virtual Ethernet interfaces receives: by a queue that the load's own core polls, as the driver
// of a network card would have it. Otherwise the relay's core carries each packet up to the load's socket, within its send.
#pragma once
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <string>

namespace sallyport {

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

/** `command` is ETHTOOL_SGRO or ETHTOOL_STSO. */
inline bool setOffload(const char* interface, uint32_t command, bool on) {
  ethtool_value value{command, on ? 1u : 0u};
  ifreq request{};
  std::strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
  request.ifr_data = reinterpret_cast<char*>(&value);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool done = fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0;
  if (fd >= 0) close(fd);
  return done;
}

class PolledQueue {
 public:
  /** Reading `socket` polls the queue, from the first datagram it gets on. False where this may not be. */
  bool open(const char* interface, int socket) {
    interface_ = interface;
    socket_ = socket;
    const int on = 1, budget = 64;
    return setOffload(interface, ETHTOOL_SGRO, true) && setsockopt(socket, SOL_SOCKET, SO_BUSY_POLL, &on, sizeof on) == 0 &&
           setsockopt(socket, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on) == 0 &&
           setsockopt(socket, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) == 0;
  }
  /** Once the kernel knows which queue the socket is fed by, nobody else is told of what it holds. */
  void settle() {
    unsigned queue = 0;
    socklen_t length = sizeof queue;
    if (settled_ || getsockopt(socket_, SOL_SOCKET, SO_INCOMING_NAPI_ID, &queue, &length) != 0 || queue == 0) return;
    settled_ = write("napi_defer_hard_irqs", "1") && write("gro_flush_timeout", "20000000");
  }

 private:
  bool write(const char* name, const char* value) const {
    std::FILE* file = std::fopen(("/sys/class/net/" + interface_ + "/" + name).c_str(), "w");
    if (file == nullptr) return false;
    const bool done = std::fputs(value, file) >= 0;
    return std::fclose(file) == 0 && done;
  }

  std::string interface_;
  int socket_ = -1;
  bool settled_ = false;
};

}  // namespace sallyport
