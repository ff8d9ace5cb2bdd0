// Owns what an interface is: its index, address, driver and receive queues, asked of the kernel by name. Knows no route.
#pragma once
#include <cstdint>
#include <string>

#include "steer.hpp"

namespace sallyport::xdp {

struct Link {
  std::string name, driver;
  uint32_t index = 0, queues = 1, mtu = 0;
  Mac mac{};
};

/** False, and why it cannot be used: there is none of that name, or it is not Ethernet. */
bool describe(std::string const& name, Link& link, std::string& why);

}  // namespace sallyport::xdp
