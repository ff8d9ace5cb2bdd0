#include "netlink.hpp"
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <cerrno>
#include <cstring>

namespace sallyport::xdp {
namespace {

constexpr size_t messageOctets = 32768;
// Since Linux 4.1, 4.3 and 5.3: older headers lack them.
constexpr uint16_t attributeVia = 18, attributeEncapType = 21;
constexpr int groupNexthop = 32;
constexpr uint16_t usable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

size_t octetsOf(Address const& address) { return address.family == 4 ? 4 : 16; }
uint8_t systemFamily(Address const& address) { return address.family == 4 ? AF_INET : AF_INET6; }

/** A question: header, fixed part, attributes. */
template <typename Body>
struct Question {
  nlmsghdr header{};
  Body body{};
  alignas(4) uint8_t attributes[64]{};

  Question(uint16_t type, uint16_t flags) {
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(sizeof(Body)));
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  }
  void add(uint16_t type, void const* value, size_t octets) {
    auto* const at = reinterpret_cast<uint8_t*>(this) + NLMSG_ALIGN(header.nlmsg_len);
    const rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(octets)), type};
    std::memcpy(at, &attribute, sizeof attribute);
    std::memcpy(at + RTA_LENGTH(0), value, octets);
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_ALIGN(header.nlmsg_len) + RTA_ALIGN(RTA_LENGTH(octets)));
  }
};

/** Calls `use(type, value, octets)` for each attribute behind the fixed part of a message. */
template <typename Body, typename Use>
void eachAttribute(nlmsghdr const& message, Use&& use) {
  size_t left = message.nlmsg_len;
  const size_t front = NLMSG_SPACE(sizeof(Body));
  if (left < front) return;
  auto const* at = reinterpret_cast<uint8_t const*>(&message) + front;
  left -= front;
  rtattr attribute;
  while (left >= sizeof attribute) {
    std::memcpy(&attribute, at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > left) return;
    use(static_cast<uint16_t>(attribute.rta_type & NLA_TYPE_MASK), at + sizeof attribute,
        attribute.rta_len - sizeof attribute);
    const size_t step = RTA_ALIGN(attribute.rta_len);
    if (step >= left) return;
    at += step;
    left -= step;
  }
}

template <typename Body>
Body const* bodyOf(nlmsghdr const& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Body))) return nullptr;
  return reinterpret_cast<Body const*>(reinterpret_cast<uint8_t const*>(&message) + NLMSG_HDRLEN);
}

bool readHost(uint8_t family, uint8_t const* value, size_t octets, Address& host) {
  if ((family == AF_INET && octets != 4) || (family == AF_INET6 && octets != 16)) return false;
  if (family != AF_INET && family != AF_INET6) return false;
  host = Address{};
  host.family = family == AF_INET ? 4 : 6;
  std::memcpy(host.octets, value, octets);
  return true;
}

uint32_t number(uint8_t const* value, size_t octets) {
  uint32_t result = 0;
  if (octets >= sizeof result) std::memcpy(&result, value, sizeof result);
  return result;
}

/** False where the message is of no use to us. */
bool readNeighbour(nlmsghdr const& message, Change& change) {
  auto const* body = bodyOf<ndmsg>(message);
  if (body == nullptr) return false;
  change.kind = Change::Kind::neighbour;
  change.interface = static_cast<uint32_t>(body->ndm_ifindex);
  bool addressed = false, placed = false;
  eachAttribute<ndmsg>(message, [&](uint16_t type, uint8_t const* value, size_t octets) {
    if (type == NDA_DST) placed = readHost(body->ndm_family, value, octets, change.address);
    if (type == NDA_LLADDR && octets == change.mac.size()) {
      std::memcpy(change.mac.data(), value, octets);
      addressed = true;
    }
  });
  change.known = addressed && message.nlmsg_type != RTM_DELNEIGH && (body->ndm_state & usable) != 0;
  return placed;
}

bool readLink(nlmsghdr const& message, Change& change) {
  auto const* body = bodyOf<ifinfomsg>(message);
  if (body == nullptr || body->ifi_family != AF_UNSPEC) return false;
  change.kind = Change::Kind::link;
  change.interface = static_cast<uint32_t>(body->ifi_index);
  change.up = message.nlmsg_type == RTM_NEWLINK && (body->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
  eachAttribute<ifinfomsg>(message, [&](uint16_t type, uint8_t const* value, size_t octets) {
    if (type == IFLA_MTU) change.mtu = number(value, octets);
    if (type == IFLA_ADDRESS && octets == change.mac.size()) std::memcpy(change.mac.data(), value, octets);
  });
  return true;
}

}  // namespace

bool Netlink::open(std::string& why) {
  const auto openOne = [&why](Handle& to) {
    to = Handle(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    if (to.get() >= 0 && ::bind(to.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) return true;
    why = std::string("the routing table cannot be asked (netlink): ") + std::strerror(errno);
    return false;
  };
  if (!openOne(questions_) || !openOne(changes_)) return false;
  const timeval wait{1, 0};
  setsockopt(questions_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  const int room = 1 << 20;
  setsockopt(changes_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  for (const int group : {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                          RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE}) {
    if (setsockopt(changes_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return why = std::string("changes of routes cannot be listened to (netlink): ") + std::strerror(errno), false;
    }
  }
  // Since Linux 5.3; before that there is nothing to be told of.
  setsockopt(changes_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groupNexthop, sizeof groupNexthop);
  return true;
}

template <typename Use>
bool Netlink::ask(void const* request, size_t length, Use&& use) {
  alignas(nlmsghdr) static thread_local uint8_t octets[messageOctets];
  if (::send(questions_.get(), request, length, 0) < 0) return false;
  bool good = false;
  for (;;) {
    const ssize_t got = ::recv(questions_.get(), octets, sizeof octets, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    auto left = static_cast<size_t>(got);
    for (auto const* message = reinterpret_cast<nlmsghdr const*>(octets); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      // An answer that came too late for the question before.
      if (message->nlmsg_seq != sequence_) continue;
      if (message->nlmsg_type == NLMSG_DONE) return true;
      if (message->nlmsg_type == NLMSG_ERROR) {
        auto const* error = bodyOf<nlmsgerr>(*message);
        return good || (error != nullptr && error->error == 0);
      }
      good = use(*message);
      if ((message->nlmsg_flags & NLM_F_MULTI) == 0) return good;
    }
  }
}

bool Netlink::route(Address const& local, Address const& to, Route& found) {
  Question<rtmsg> question(RTM_GETROUTE, 0);
  question.header.nlmsg_seq = ++sequence_;
  const size_t octets = octetsOf(to);
  question.body.rtm_family = systemFamily(to);
  question.body.rtm_dst_len = question.body.rtm_src_len = static_cast<uint8_t>(octets * 8);
  question.add(RTA_DST, to.octets, octets);
  question.add(RTA_SRC, local.octets, octets);
  return ask(&question, question.header.nlmsg_len, [&](nlmsghdr const& answer) {
    auto const* body = bodyOf<rtmsg>(answer);
    if (answer.nlmsg_type != RTM_NEWROUTE || body == nullptr || body->rtm_type != RTN_UNICAST) return false;
    found = Route{};
    found.via = to;
    bool plain = true;
    eachAttribute<rtmsg>(answer, [&](uint16_t type, uint8_t const* value, size_t length) {
      if (type == RTA_OIF) found.interface = number(value, length);
      if (type == RTA_GATEWAY) plain = readHost(body->rtm_family, value, length, found.via) && plain;
      if (type == attributeVia && length > 2) {
        uint16_t family;
        std::memcpy(&family, value, sizeof family);
        plain = readHost(static_cast<uint8_t>(family), value + 2, length - 2, found.via) && plain;
      }
      if (type == attributeEncapType || type == RTA_MULTIPATH) plain = false;
      if (type == RTA_METRICS) {
        // Attributes within an attribute.
        for (size_t at = 0; at + sizeof(rtattr) <= length;) {
          rtattr metric;
          std::memcpy(&metric, value + at, sizeof metric);
          if (metric.rta_len < sizeof metric || at + metric.rta_len > length) break;
          if (metric.rta_type == RTAX_MTU) found.mtu = number(value + at + sizeof metric, metric.rta_len - sizeof metric);
          at += RTA_ALIGN(metric.rta_len);
        }
      }
    });
    return plain && found.interface != 0;
  });
}

bool Netlink::neighbour(uint32_t interface, Address const& host, Mac& mac) {
  Question<ndmsg> question(RTM_GETNEIGH, 0);
  question.header.nlmsg_seq = ++sequence_;
  question.body.ndm_family = systemFamily(host);
  question.body.ndm_ifindex = static_cast<int32_t>(interface);
  question.add(NDA_DST, host.octets, octetsOf(host));
  return ask(&question, question.header.nlmsg_len, [&](nlmsghdr const& answer) {
    Change change{};
    if (answer.nlmsg_type != RTM_NEWNEIGH || !readNeighbour(answer, change) || !change.known) return false;
    mac = change.mac;
    return true;
  });
}

void Netlink::use(uint32_t interface, Address const& host) {
  Question<ndmsg> question(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
  question.header.nlmsg_seq = ++sequence_;
  question.body.ndm_family = systemFamily(host);
  question.body.ndm_ifindex = static_cast<int32_t>(interface);
  question.body.ndm_flags = NTF_USE;
  question.add(NDA_DST, host.octets, octetsOf(host));
  ask(&question, question.header.nlmsg_len, [](nlmsghdr const&) { return false; });
}

std::vector<Address> Netlink::addresses() {
  Question<ifaddrmsg> question(RTM_GETADDR, NLM_F_DUMP);
  question.header.nlmsg_seq = ++sequence_;
  question.body.ifa_family = AF_UNSPEC;
  std::vector<Address> found;
  ask(&question, question.header.nlmsg_len, [&](nlmsghdr const& answer) {
    auto const* body = bodyOf<ifaddrmsg>(answer);
    if (answer.nlmsg_type != RTM_NEWADDR || body == nullptr) return false;
    Address own;
    eachAttribute<ifaddrmsg>(answer, [&](uint16_t type, uint8_t const* value, size_t octets) {
      // Of a link with two ends IFA_ADDRESS is the other one, and IFA_LOCAL, which comes later, ours.
      if (type == IFA_LOCAL || type == IFA_ADDRESS) readHost(body->ifa_family, value, octets, own);
    });
    if (own.family != 0) found.push_back(own);
    return true;
  });
  return found;
}

void Netlink::changed(std::vector<Change>& found) {
  alignas(nlmsghdr) static thread_local uint8_t octets[messageOctets];
  for (;;) {
    const ssize_t got = ::recv(changes_.get(), octets, sizeof octets, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      Change overrun{};
      overrun.kind = Change::Kind::overrun;
      found.push_back(overrun);
      continue;
    }
    if (got <= 0) return;
    auto left = static_cast<size_t>(got);
    for (auto const* message = reinterpret_cast<nlmsghdr const*>(octets); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      Change change{};
      bool good = true;
      switch (message->nlmsg_type) {
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
          good = readNeighbour(*message, change);
          break;
        case RTM_NEWLINK:
        case RTM_DELLINK:
          good = readLink(*message, change);
          break;
        case RTM_NEWADDR:
        case RTM_DELADDR:
          change.kind = Change::Kind::addresses;
          break;
        default:
          change.kind = Change::Kind::routes;
      }
      if (good) found.push_back(change);
    }
  }
}

bool Netlink::policies() {
  // A socket for each question: what the rest of the answer says is of no interest.
  const Handle asking(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM));
  if (asking.get() < 0) return false;
  const timeval wait{1, 0};
  setsockopt(asking.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  Question<xfrm_userpolicy_id> question(XFRM_MSG_GETPOLICY, NLM_F_DUMP);
  alignas(nlmsghdr) static thread_local uint8_t octets[messageOctets];
  if (::send(asking.get(), &question, question.header.nlmsg_len, 0) < 0) return false;
  const ssize_t got = ::recv(asking.get(), octets, sizeof octets, 0);
  if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return false;
  return reinterpret_cast<nlmsghdr const*>(octets)->nlmsg_type == XFRM_MSG_NEWPOLICY;
}

}  // namespace sallyport::xdp
