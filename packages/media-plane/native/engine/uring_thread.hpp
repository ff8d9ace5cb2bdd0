// Owns a thread that moves packets by io_uring, many with one system call: epoll says which sockets have something, one submission
// fetches it, another sends what came of it.
#pragma once
#include <memory>

#include "epoll_thread.hpp"
#include "uring.hpp"

namespace sallyport {

class UringThread final : public EpollThread {
 public:
  using EpollThread::EpollThread;

 private:
  /** Where one datagram of a round is received, worked on, and sent from. */
  struct Place {
    Wire* wire;
    SocketAddress name;
    msghdr message;
    iovec part;
    /** Of the datagram, or -errno. */
    int length;
  };
  static constexpr size_t octetsEach = 4096;
  /** Not a power of two: the heads of all datagrams would fall into one set of the cache. */
  static constexpr size_t apart = octetsEach + 192;

  bool prepare(std::string& why) override;
  void leave(Wire& wire) override;
  bool keeps(Slot const& slot) const override;
  void workOff() override;

  void fetch(Wire& wire);
  void fetched(unsigned place);
  void warm(unsigned place) const;
  void queueSend(unsigned place, Port& through, Outgoing const& out);
  void send();
  uring::Sqe& next(Wire& wire);
  uint8_t* octetsOf(unsigned place) const { return octets_.get() + place * apart; }

  uring::Ring ring_;
  std::unique_ptr<uint8_t[]> octets_;
  std::vector<Place> places_;
  std::vector<int32_t> freeFiles_;
  /** Places of this round. */
  unsigned used_ = 0;
  uint32_t round_ = 0;
};

}  // namespace sallyport
