#include "links.hpp"
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <cstring>

namespace sallyport::xdp {

bool describe(std::string const& name, Link& link, std::string& why) {
  link.name = name;
  link.index = name.size() < IFNAMSIZ ? if_nametoindex(name.c_str()) : 0;
  if (link.index == 0) return why = "there is no interface " + name, false;
  Handle asking(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (ioctl(asking.get(), SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
    return why = name + " is not an Ethernet interface", false;
  }
  std::memcpy(link.mac.data(), request.ifr_hwaddr.sa_data, link.mac.size());
  if (ioctl(asking.get(), SIOCGIFMTU, &request) == 0) link.mtu = static_cast<uint32_t>(request.ifr_mtu);
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&driver);
  if (ioctl(asking.get(), SIOCETHTOOL, &request) == 0) link.driver = driver.driver;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  // A driver that does not tell has one queue, or is found out by binding to it.
  if (ioctl(asking.get(), SIOCETHTOOL, &request) == 0) link.queues = channels.rx_count + channels.combined_count;
  if (link.queues == 0) link.queues = 1;
  return true;
}

}  // namespace sallyport::xdp
