// Owns the talk with the kernel's routing and neighbour tables (rtnetlink(7)): questions with one answer, a list of our addresses,
// and word of changes. Blocks its thread; no packet thread calls it. Knows no leg.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../core/address.hpp"
#include "steer.hpp"

namespace sallyport::xdp {

struct Route {
  uint32_t interface = 0, mtu = 0;
  /** The next hop on that interface. */
  Address via;
};

/** What was changed. `neighbour`: that of `address` on `interface`; `link`: `mac`, `mtu`, `up`. */
struct Change {
  enum class Kind : uint8_t { routes, addresses, neighbour, link, overrun } kind;
  uint32_t interface = 0, mtu = 0;
  bool up = false, known = false;
  Address address;
  Mac mac{};
};

class Netlink {
 public:
  bool open(std::string& why);
  /** Readable when something has changed. */
  int fd() const { return changes_.get(); }

  /** False where it is no plain unicast route. */
  bool route(Address const& local, Address const& to, Route& found);
  /** False where its hardware address is not known now. */
  bool neighbour(uint32_t interface, Address const& host, Mac& mac);
  /** As if a packet were sent there: the kernel asks for the address, or asks whether it still holds. */
  void use(uint32_t interface, Address const& host);
  std::vector<Address> addresses();
  void changed(std::vector<Change>& found);
  /** Whether the kernel has IPsec policies (RFC 4301 4.4.1), which nothing obeys that goes past its sockets. */
  static bool policies();

 private:
  template <typename Use>
  bool ask(void const* request, size_t length, Use&& use);
  Handle questions_, changes_;
  uint32_t sequence_ = 0;
};

}  // namespace sallyport::xdp
