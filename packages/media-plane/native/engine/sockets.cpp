#include "sockets.hpp"
#include <netinet/ip.h>
#include <unistd.h>
#include <cerrno>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

namespace sallyport {
namespace {

int openOne(Address const& local, int receiveBuffer, int sendBuffer) {
  SocketAddress address;
  const socklen_t length = toSystem(local, address);
  const int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0) return -errno;
  const int on = 1;
  if (address.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (receiveBuffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  if (sendBuffer > 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sendBuffer, sizeof sendBuffer);
  if (bind(fd, &address.any, length) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

}  // namespace

int openPair(Address const& local, int receiveBuffer, int sendBuffer, SocketPair& sockets) {
  const int rtp = openOne(local, receiveBuffer, sendBuffer);
  if (rtp < 0) return rtp;
  const int rtcp = openOne(above(local), receiveBuffer, sendBuffer);
  if (rtcp < 0) {
    close(rtp);
    return rtcp;
  }
  sockets = {rtp, rtcp};
  return 0;
}

int openConnected(int bound, Address const& remote, int receiveBuffer, int sendBuffer) {
  SocketAddress local, to;
  socklen_t localLength = sizeof local;
  if (getsockname(bound, &local.any, &localLength) != 0) return -errno;
  const socklen_t toLength = toSystem(remote, to);
  if (to.any.sa_family != local.any.sa_family) return -EAFNOSUPPORT;
  const int fd = socket(local.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0) return -errno;
  // For this moment only: nobody else shall get on the port.
  int on = 1, off = 0;
  if (local.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const bool good = bind(fd, &local.any, localLength) == 0 && connect(fd, &to.any, toLength) == 0;
  const int error = errno;
  setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
  if (!good) {
    close(fd);
    return -error;
  }
  if (receiveBuffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  if (sendBuffer > 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sendBuffer, sizeof sendBuffer);
  return fd;
}

int mark(int socket, uint16_t family, uint8_t dscp) {
  const int value = dscp << 2;
  const int done = family == AF_INET6 ? setsockopt(socket, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value)
                                      : setsockopt(socket, IPPROTO_IP, IP_TOS, &value, sizeof value);
  return done < 0 ? -errno : 0;
}

uint32_t dropsOf(int socket) {
  // sock_diag's SK_MEMINFO_*: the ninth is SK_MEMINFO_DROPS.
  uint32_t figures[9] = {};
  socklen_t length = sizeof figures;
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, figures, &length) < 0) return 0;
  return figures[8];
}

}  // namespace sallyport
