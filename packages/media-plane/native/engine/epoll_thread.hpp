// Owns a thread that moves packets by epoll and one system call a datagram: for kernels, and containers, without io_uring.
#pragma once
#include <sys/epoll.h>
#include <array>

#include "packet_thread.hpp"
#include "sockets.hpp"

namespace sallyport {

class EpollThread : public PacketThread {
 public:
  using PacketThread::PacketThread;
  ~EpollThread() override;

 protected:
  bool prepare(std::string& why) override;
  void run() override;
  void listen(Wire& wire) override;
  bool leave(Wire& wire) override;
  /** Sends what stands in a buffer of this thread's. */
  virtual void sendOut(Port& through, Outgoing const& out, uint8_t* datagram) { sendBySocket(through, out, datagram); }
  void sendBySocket(Port& through, Outgoing const& out, uint8_t* datagram);
  /** Waits for sockets; what is ready is worked off by `workOff`, after the commands. */
  void gather(int waitMs);
  void workOff();
  /** Tells what the round brought. */
  void account();
  int descriptor() const { return epoll_; }

  static constexpr int idleMs = 100;
  uint64_t nowNs_ = 0;
  unsigned packets_ = 0, sends_ = 0;

 private:
  void readFrom(Wire& wire);

  static constexpr size_t datagrams = 8, bufferOctets = 4096;
  static constexpr int eventsAtOnce = 512;
  int epoll_ = -1;
  /** Of this round; a socket that leaves meanwhile is taken out. */
  std::array<epoll_event, eventsAtOnce> events_{};
  int ready_ = 0;
  std::array<std::array<uint8_t, bufferOctets>, datagrams> buffers_{};
  std::array<SocketAddress, datagrams> names_{};
};

}  // namespace sallyport
