// Puts frames on an interface as they stand: one a line in hexadecimal on standard input. Argument: the interface.
#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(arguments[1]));
  std::string line;
  while (std::getline(std::cin, line)) {
    std::vector<unsigned char> frame;
    for (size_t at = 0; at + 1 < line.size(); at += 2) {
      frame.push_back(static_cast<unsigned char>(std::strtoul(line.substr(at, 2).c_str(), nullptr, 16)));
    }
    if (sendto(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      std::perror("inject");
      return 1;
    }
  }
  return 0;
}
