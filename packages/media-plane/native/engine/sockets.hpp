// Owns how the sockets of a leg are made and marked, and the two forms of an address. Knows no leg.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include "../core/address.hpp"

namespace sallyport {

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

/** Gives the length of the system's form. */
inline socklen_t toSystem(Address const& from, SocketAddress& to) noexcept {
  if (from.family == 4) {
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(from.port);
    std::memcpy(&to.v4.sin_addr, from.octets, 4);
    std::memset(to.v4.sin_zero, 0, sizeof to.v4.sin_zero);
    return sizeof(sockaddr_in);
  }
  to.v6.sin6_family = AF_INET6;
  to.v6.sin6_port = htons(from.port);
  to.v6.sin6_flowinfo = 0;
  std::memcpy(&to.v6.sin6_addr, from.octets, 16);
  to.v6.sin6_scope_id = from.scope;
  return sizeof(sockaddr_in6);
}

inline void fromSystem(SocketAddress const& from, Address& to) noexcept {
  if (from.any.sa_family == AF_INET) {
    to.family = 4;
    to.port = ntohs(from.v4.sin_port);
    std::memcpy(to.octets, &from.v4.sin_addr, 4);
    std::memset(to.octets + 4, 0, 12);
    to.scope = 0;
    return;
  }
  to.family = 6;
  to.port = ntohs(from.v6.sin6_port);
  std::memcpy(to.octets, &from.v6.sin6_addr, 16);
  to.scope = from.v6.sin6_scope_id;
}

/** Where RTCP is (RFC 3550 11). */
inline Address above(Address local) noexcept {
  ++local.port;
  return local;
}

/** Of one leg, bound to one address and to neighbouring ports. */
struct SocketPair {
  int rtp = -1, rtcp = -1;
};

/** Binds address and the port above it too. 0, or -errno and nothing is open. */
int openPair(Address const& local, int receiveBuffer, int sendBuffer, SocketPair& sockets);
/** A second socket on the port of `bound`, connected to `remote`: its descriptor or -errno. */
int openConnected(int bound, Address const& remote, int receiveBuffer, int sendBuffer);
/** RFC 2474: the code point stands in the upper six bits. 0 or -errno. */
int mark(int socket, uint16_t family, uint8_t dscp);
/** Datagrams dropped for want of receive buffer since the socket was made; wraps. */
uint32_t dropsOf(int socket);

}  // namespace sallyport
