// Owns a thread that moves packets by io_uring: multishot receive into provided buffers, sends of a batch in one submission.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include "packet_thread.hpp"
#include "sockets.hpp"
#include "uring.hpp"

namespace sallyport {

class UringThread final : public PacketThread {
 public:
  using PacketThread::PacketThread;

 private:
  bool prepare(std::string& why) override;
  void run() override;
  void listen(Wire& wire) override;
  bool leave(Wire& wire) override;
  void leaving(Slot& slot) override;
  void pump() override;

  void complete(uring::Cqe const& cqe);
  void received(Wire& wire, uring::Cqe const& cqe);
  void ended(Wire& wire, int result);
  void queueSend(Port& port, uint8_t* octets, size_t length, Address const& to);
  void awaitWake();
  void flush();
  void recycle();
  void workOff(unsigned ready);
  void listenAgain();
  void cancel(Wire& wire);
  void cancelled(Wire& wire, int result);
  void finish(Wire& wire);
  void dropFile(Wire& wire);
  uring::Sqe& next();

  uring::Ring ring_;
  msghdr receiveV4_{}, receiveV6_{};
  std::vector<SocketAddress> names_;
  size_t nameCount_ = 0;
  std::vector<uint16_t> used_;
  /** Packets that came while a leg was given away. */
  std::vector<uring::Cqe> held_;
  std::vector<int32_t> freeFiles_;
  std::vector<Wire*> again_;
  uint64_t wakeValue_ = 0;
  uint64_t nowNs_ = 0, againAtNs_ = 0;
  unsigned packets_ = 0, sends_ = 0;
};

}  // namespace sallyport
