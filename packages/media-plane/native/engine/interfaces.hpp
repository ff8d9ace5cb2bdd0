// Owns how named interfaces are taken into service: the program on each, a socket before each of their queues, zero-copy where all of
// them can. Knows no leg and no packet.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "links.hpp"
#include "steer.hpp"
#include "umem.hpp"
#include "xsk.hpp"

namespace sallyport::xdp {

/** Of all interfaces together; datagrams of further queues go to the ordinary sockets. */
inline constexpr size_t mostQueues = 16;

struct Interface {
  Link link;
  Attachment attachment;
  std::vector<std::unique_ptr<Socket>> queues;
  bool up = true;
  /** Checksums of what comes may stop short of the payload. */
  bool unfinished = false;
};

/** On false, and why, what `interfaces` holds is of no use but is let go with it. `manner` tells how each is served. */
bool open(std::vector<std::string> const& names, Steer& steer, Umem& umem, std::vector<Interface>& interfaces,
          std::string& manner, std::string& why);

}  // namespace sallyport::xdp
