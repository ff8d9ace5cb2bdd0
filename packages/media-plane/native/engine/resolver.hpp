// Owns the thread that knows the way to where packets go: it asks the kernel's routing and neighbour tables, hears of their changes,
// and tells the packet thread, which never waits for it. A hardware address comes from the kernel alone, never from a packet.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "netlink.hpp"
#include "ring.hpp"

namespace sallyport::xdp {

/** Ways that are known at a time; datagrams to further places go by the ordinary sockets. */
inline constexpr uint32_t mostHops = 4096;

struct HopQuestion {
  uint32_t hop = 0, serial = 0;
  /** Asked no more. */
  bool forget = false;
  Address local, to;
};

struct ResolverNews {
  enum class Kind : uint8_t { hop, link, addresses, policies } kind = Kind::hop;
  /** Of a hop: -1, it goes by the ordinary sockets. */
  int interface = -1;
  /** Of a link; of policies: there are some. */
  bool up = false;
  uint32_t hop = 0, serial = 0, mtu = 0;
  Mac mac{};
  /** Every address of this machine, sorted; the receiver's own then. */
  std::vector<Address>* addresses = nullptr;
};

/** For sorting, and for finding what is sorted. */
bool hostBefore(Address const& a, Address const& b);

class Resolver {
 public:
  /** Indices of the interfaces that can be sent through. */
  explicit Resolver(std::vector<uint32_t> interfaces) : interfaces_(std::move(interfaces)) {}
  ~Resolver();
  Resolver(Resolver const&) = delete;
  Resolver& operator=(Resolver const&) = delete;

  bool start(std::string& why);

  /** The packet thread. False: there is no room, ask later. */
  bool ask(HopQuestion const& question);
  /** The packet thread. After some questions. */
  void wake();
  ResolverNews* news() { return news_.front(); }
  void taken() { news_.pop(); }

 private:
  struct Known {
    bool asked = false;
    HopQuestion question;
    Address via;
    /** Of the kernel, also where it is none of ours. */
    uint32_t index = 0;
    ResolverNews last;
  };

  void run();
  void answer(HopQuestion const& question);
  void resolve(Known& known, bool refresh);
  void heard(Change const& change);
  void tell(ResolverNews const& news);
  void tellAddresses();
  void lookForPolicies();
  int ours(uint32_t index) const;

  const std::vector<uint32_t> interfaces_;
  Netlink kernel_;
  SpscRing<HopQuestion, 4096> questions_;
  SpscRing<ResolverNews, 4096> news_;
  std::vector<ResolverNews> untold_;
  std::vector<Known> known_;
  std::vector<Change> changes_;
  bool routesMoved_ = false, addressesMoved_ = true;
  bool policies_ = false;
  uint64_t movedAtNs_ = 0, policiesAtNs_ = 0;
  int wakeFd_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sallyport::xdp
