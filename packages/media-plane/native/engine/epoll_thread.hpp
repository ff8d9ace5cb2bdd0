// Owns a thread that moves packets by epoll and one system call a datagram: for kernels, and containers, without io_uring.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
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
  void leave(Wire& wire) override;
  /** Sends what stands in a buffer of this thread's. */
  virtual void sendOut(Port& through, Outgoing const& out, uint8_t* datagram) { sendBySocket(through, out, datagram); }
  void sendBySocket(Port& through, Outgoing const& out, uint8_t* datagram);
  /** Waits for sockets: how many are ready. */
  int gather(int waitMs);
  /** What is ready is worked off by `workOff`, after the commands. */
  void hear(int found);
  virtual void workOff();
  template <typename Use>
  void eachReady(Use&& use) {
    for (int at = 0; at < ready_; ++at) {
      auto* wire = static_cast<Wire*>(events_[static_cast<size_t>(at)].data.ptr);
      // The wake-up, or a socket that has left; reading the wake-up once more does no harm.
      if (wire == nullptr) {
        eventfd_t value;
        eventfd_read(wakeFd_, &value);
      } else {
        use(*wire);
      }
    }
    ready_ = 0;
  }
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
  bool more_ = false;
  std::array<std::array<uint8_t, bufferOctets>, datagrams> buffers_{};
  std::array<SocketAddress, datagrams> names_{};
};

}  // namespace sallyport
