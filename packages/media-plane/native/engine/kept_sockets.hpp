// Owns the socket pairs of ended legs that are kept for coming ones: to make, bind and close four sockets is a tenth of what a call
// costs. CONTROL's own. A pair that is kept is connected to itself: it hears nobody, and whoever sends to it is told by the kernel
// that nobody is there, as if it were closed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "sockets.hpp"

namespace sallyport {

class KeptSockets {
 public:
  KeptSockets() = default;
  ~KeptSockets() { clear(); }
  KeptSockets(KeptSockets const&) = delete;
  KeptSockets& operator=(KeptSockets const&) = delete;

  /** At most so many pairs. */
  void bound(size_t most) { most_ = most; }
  /** A leg wants a pair here: the kept one, as good as new. False: there is none. */
  bool take(Address const& local, SocketPair& sockets, uint64_t nowNs);
  /** Of a leg that has ended; nobody listens to it any more. False: it was closed, there is no need of it. */
  bool give(Address const& local, SocketPair const& sockets, uint64_t nowNs);
  /** Closes what nobody has wanted for long. */
  void expire(uint64_t nowNs);
  void clear();
  size_t size() const { return pairs_.size(); }

 private:
  struct Kept {
    SocketPair sockets;
    uint64_t serial;
  };
  struct Turn {
    uint64_t key, serial, untilNs;
  };
  bool wanted() const;
  void count(uint64_t nowNs);

  size_t most_ = 0;
  /** By IPv4 address and port. */
  std::unordered_map<uint64_t, Kept> pairs_;
  /** Oldest first; of those taken since too. */
  std::deque<Turn> turns_;
  uint64_t serial_ = 0;
  /** Pairs wanted in this period, and in the one before. */
  size_t now_ = 0, before_ = 0;
  uint64_t periodNs_ = 0;
};

}  // namespace sallyport
