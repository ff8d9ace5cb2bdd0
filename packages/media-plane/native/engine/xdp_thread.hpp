// Owns a thread that moves packets past the kernel's sockets, by AF_XDP on named interfaces. What does not come by those, or has no
// known way through them, goes by the legs' ordinary sockets, as in the epoll thread this one is made from.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "epoll_thread.hpp"
#include "frame.hpp"
#include "hops.hpp"
#include "interfaces.hpp"
#include "port_table.hpp"
#include "resolver.hpp"

namespace sallyport {

class XdpThread final : public EpollThread {
 public:
  XdpThread(ThreadSettings const& settings, ThreadStats& stats, KeyPool& pool, std::vector<std::string> interfaces);

  /** After `start`: how each interface is served, and what is against it. */
  std::string const& manner() const { return manner_; }
  char const* note() const;

 private:
  /** A datagram on its way, in a frame. */
  struct Arrival {
    Port* port;
    frame::Datagram datagram;
  };
  static constexpr size_t atOnce = 64;

  bool prepare(std::string& why) override;
  void run() override;
  void listen(Wire& wire) override;
  void leave(Wire& wire) override;
  void sendOut(Port& through, Outgoing const& out, uint8_t* datagram) override;

  void wait();
  bool unsent() const;
  void takeNews();
  void takeLink(xdp::ResolverNews const& news);
  void pause(bool paused);
  void receiveFrom(xdp::Interface& interface, xdp::Socket& queue, uint32_t count);
  void warm(Arrival const* arrivals, size_t at, size_t count);
  void relay(Arrival const& arrival);
  bool sound(xdp::Interface const& interface, uint8_t* octets, size_t length, frame::Datagram& datagram) const;
  xdp::Hop* wayTo(Port& port, Address const& to);
  bool sendDirect(Port& through, Outgoing const& out, uint8_t* payload);
  void turnOver();
  void keepUp();

  std::vector<std::string> names_;
  std::string manner_;
  xdp::Umem umem_;
  xdp::Steer steer_;
  std::vector<xdp::Interface> interfaces_;
  std::unique_ptr<xdp::Resolver> resolver_;
  xdp::Hops hops_;
  xdp::PortTable ports_;
  /** Of this machine, sorted: nothing from there comes by a wire. */
  std::unique_ptr<std::vector<Address>> own_;
  std::vector<uint32_t> waiting_;
  bool asked_ = false;
  /** The kernel has IPsec policies: everything goes by the sockets. */
  bool paused_ = false;
  uint64_t drops_ = 0, lookedAtNs_ = 0;
  unsigned directIn_ = 0, directOut_ = 0, unsound_ = 0;
};

}  // namespace sallyport
