#include "kept_sockets.hpp"
#include <unistd.h>
#include <algorithm>
#include <cerrno>

namespace sallyport {
namespace {

/** Longer than a port rests between two calls. */
constexpr uint64_t keepNs = 15'000'000'000, eachPeriodNs = 8'000'000'000;
/** Fewer than these in a period are not worth it. */
constexpr size_t few = 16;

/** IPv4 alone: the kernel does not let an IPv6 socket hear everybody again. Nor does it one that is bound to every address. */
bool keepable(Address const& local) {
  return local.family == 4 && (local.octets[0] | local.octets[1] | local.octets[2] | local.octets[3]) != 0;
}

uint64_t keyOf(Address const& local) {
  uint32_t host;
  std::memcpy(&host, local.octets, sizeof host);
  return static_cast<uint64_t>(host) << 16 | local.port;
}

void closeBoth(SocketPair const& sockets) {
  ::close(sockets.rtp);
  ::close(sockets.rtcp);
}

/** What has come for the old leg goes. False: it does not end. */
bool empty(int socket) {
  // A receive buffer holds no more than this; an error the kernel has to tell is one too.
  for (size_t left = 100'000; left > 0; --left) {
    if (recv(socket, nullptr, 0, MSG_DONTWAIT | MSG_TRUNC) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  }
  return false;
}

bool park(int socket, Address const& local) {
  SocketAddress own;
  const socklen_t length = toSystem(local, own);
  return connect(socket, &own.any, length) == 0 && empty(socket);
}

bool unpark(int socket) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  // What another core had in hand when it was parked.
  return empty(socket) && connect(socket, &nobody, sizeof nobody) == 0;
}

}  // namespace

void KeptSockets::count(uint64_t nowNs) {
  const uint64_t elapsed = nowNs - periodNs_;
  if (elapsed < eachPeriodNs) return;
  before_ = elapsed < 2 * eachPeriodNs ? now_ : 0;
  now_ = 0;
  periodNs_ = nowNs;
}

/** As many as are opened now will be wanted again; a gateway at rest holds none. */
bool KeptSockets::wanted() const { return pairs_.size() < most_ && pairs_.size() + few < std::max(now_, before_); }

bool KeptSockets::take(Address const& local, SocketPair& sockets, uint64_t nowNs) {
  count(nowNs);
  ++now_;
  const auto found = keepable(local) ? pairs_.find(keyOf(local)) : pairs_.end();
  if (found == pairs_.end()) return false;
  sockets = found->second.sockets;
  pairs_.erase(found);
  if (unpark(sockets.rtp) && unpark(sockets.rtcp)) return true;
  closeBoth(sockets);
  return false;
}

bool KeptSockets::give(Address const& local, SocketPair const& sockets, uint64_t nowNs) {
  count(nowNs);
  if (!keepable(local) || !wanted() || !park(sockets.rtp, local) || !park(sockets.rtcp, above(local))) {
    closeBoth(sockets);
    return false;
  }
  const uint64_t key = keyOf(local);
  pairs_[key] = {sockets, ++serial_};
  turns_.push_back({key, serial_, nowNs + keepNs});
  return true;
}

void KeptSockets::expire(uint64_t nowNs) {
  for (; !turns_.empty(); turns_.pop_front()) {
    Turn const& turn = turns_.front();
    const auto found = pairs_.find(turn.key);
    if (found == pairs_.end() || found->second.serial != turn.serial) continue;
    if (nowNs < turn.untilNs) return;
    closeBoth(found->second.sockets);
    pairs_.erase(found);
  }
}

void KeptSockets::clear() {
  for (auto const& [key, kept] : pairs_) closeBoth(kept.sockets);
  pairs_.clear();
  turns_.clear();
}

}  // namespace sallyport
