// Owns what the kernel is told: the program that hands datagrams for our ports to AF_XDP sockets, its two maps, and its place on each
// interface (bpf_link: gone with this process, however it ends). Knows no leg and no frame.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "../core/address.hpp"
#include "xdp_abi.hpp"

namespace sallyport::xdp {

using Mac = std::array<uint8_t, 6>;

/** A descriptor that is closed with its owner. */
class Handle {
 public:
  Handle() = default;
  explicit Handle(int fd) : fd_(fd) {}
  ~Handle();
  Handle(Handle&& from) noexcept : fd_(from.fd_) { from.fd_ = -1; }
  Handle& operator=(Handle&& from) noexcept;
  Handle(Handle const&) = delete;
  Handle& operator=(Handle const&) = delete;
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/** Where AF_XDP sockets of one interface stand, by receive queue. */
struct Attachment {
  Handle sockets, program, link;
  bool native = false;
};

class Steer {
 public:
  /** Room for `ports` pairs of address and port. */
  bool open(uint32_t ports, std::string& why);
  /** In the driver where it can, else behind the making of an skb. False, and why. */
  bool attach(std::string const& name, uint32_t interface, Mac const& mac, uint32_t queues, Attachment& to,
              std::string& why);
  /** The interface has another address now. */
  bool readdress(Attachment& at, Mac const& mac);
  bool serve(Attachment& at, uint32_t queue, int socket, std::string& why);
  /** What comes by this queue goes on to the kernel. */
  void withdraw(Attachment& at, uint32_t queue);
  /** Datagrams to this port are ours from now on; false: they go on to the kernel. */
  bool take(Address const& local);
  void leave(Address const& local);

 private:
  Handle load(Attachment const& at, Mac const& mac, std::string& why) const;
  Handle ports_;
};

/** What would let a call of bpf(2) that gave `error` succeed. */
std::string helpFor(int error);

}  // namespace sallyport::xdp
