#include "resolver.hpp"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "packet_thread.hpp"

namespace sallyport::xdp {
namespace {

/** A table that changes all the time is read this often at most. */
constexpr uint64_t settleNs = 100'000'000;
/** How long packets may go past IPsec policies that are new. */
constexpr uint64_t policiesNs = 1'000'000'000;
constexpr int settleMs = 100, retryMs = 10, idleMs = 1000;

bool sameNews(ResolverNews const& a, ResolverNews const& b) {
  return a.interface == b.interface && a.mtu == b.mtu && a.mac == b.mac;
}

}  // namespace

bool hostBefore(Address const& a, Address const& b) {
  return a.family != b.family ? a.family < b.family : std::memcmp(a.octets, b.octets, sizeof a.octets) < 0;
}

Resolver::~Resolver() {
  stopping_.store(true);
  if (wakeFd_ >= 0) eventfd_write(wakeFd_, 1);
  if (thread_.joinable()) thread_.join();
  if (wakeFd_ >= 0) ::close(wakeFd_);
  for (; news_.front() != nullptr; news_.pop()) delete news_.front()->addresses;
  for (ResolverNews const& news : untold_) delete news.addresses;
}

bool Resolver::start(std::string& why) {
  if (!kernel_.open(why)) return false;
  wakeFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wakeFd_ < 0) return why = std::string("eventfd: ") + std::strerror(errno), false;
  known_.resize(mostHops);
  // Before the first packet.
  tellAddresses();
  lookForPolicies();
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "sallyport-route");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    run();
  });
  return true;
}

bool Resolver::ask(HopQuestion const& question) {
  HopQuestion* room = questions_.room();
  if (room == nullptr) return false;
  *room = question;
  questions_.publish();
  return true;
}

void Resolver::wake() { eventfd_write(wakeFd_, 1); }

void Resolver::run() {
  while (!stopping_.load()) {
    for (HopQuestion* question = questions_.front(); question != nullptr; question = questions_.front()) {
      const HopQuestion copy = *question;
      questions_.pop();
      answer(copy);
    }
    changes_.clear();
    kernel_.changed(changes_);
    for (Change const& change : changes_) heard(change);
    if (addressesMoved_) tellAddresses();
    if (nowNs() - policiesAtNs_ >= policiesNs) lookForPolicies();
    if (routesMoved_ && nowNs() - movedAtNs_ >= settleNs) {
      routesMoved_ = false;
      for (Known& known : known_) {
        if (known.asked) resolve(known, false);
      }
    }
    std::vector<ResolverNews> again;
    again.swap(untold_);
    for (ResolverNews const& news : again) tell(news);
    pollfd waits[] = {{wakeFd_, POLLIN, 0}, {kernel_.fd(), POLLIN, 0}};
    ::poll(waits, 2, !untold_.empty() ? retryMs : routesMoved_ ? settleMs : idleMs);
    eventfd_t value;
    eventfd_read(wakeFd_, &value);
  }
}

int Resolver::ours(uint32_t index) const {
  for (size_t at = 0; at < interfaces_.size(); ++at) {
    if (interfaces_[at] == index) return static_cast<int>(at);
  }
  return -1;
}

void Resolver::answer(HopQuestion const& question) {
  if (question.hop >= known_.size()) return;
  Known& known = known_[question.hop];
  if (question.forget) {
    known = Known{};
    return;
  }
  if (!known.asked || known.question.serial != question.serial) {
    known = Known{};
    known.asked = true;
    known.question = question;
    known.last.interface = -2;
  }
  resolve(known, true);
}

/** `refresh`: packets go there now; the kernel, which does not see them, is told so that it keeps the neighbour. */
void Resolver::resolve(Known& known, bool refresh) {
  ResolverNews news;
  news.hop = known.question.hop;
  news.serial = known.question.serial;
  Route route;
  known.index = 0;
  if (kernel_.route(known.question.local, known.question.to, route)) {
    known.index = route.interface;
    known.via = route.via;
    const int interface = ours(route.interface);
    if (interface >= 0) {
      if (refresh) kernel_.use(route.interface, route.via);
      if (kernel_.neighbour(route.interface, route.via, news.mac)) {
        news.interface = interface;
        news.mtu = route.mtu;
      }
    }
  }
  if (sameNews(news, known.last)) return;
  known.last = news;
  tell(news);
}

void Resolver::heard(Change const& change) {
  switch (change.kind) {
    case Change::Kind::neighbour:
      for (Known& known : known_) {
        if (known.asked && known.index == change.interface && sameHost(known.via, change.address)) resolve(known, false);
      }
      return;
    case Change::Kind::link: {
      const int interface = ours(change.interface);
      if (interface >= 0) {
        ResolverNews news;
        news.kind = ResolverNews::Kind::link;
        news.interface = interface;
        news.up = change.up;
        news.mtu = change.mtu;
        news.mac = change.mac;
        tell(news);
      }
      break;
    }
    case Change::Kind::addresses:
      addressesMoved_ = true;
      break;
    case Change::Kind::overrun:
      addressesMoved_ = true;
      break;
    case Change::Kind::routes:
      break;
  }
  // Routes follow links and addresses.
  if (!routesMoved_) movedAtNs_ = nowNs();
  routesMoved_ = true;
}

void Resolver::tell(ResolverNews const& news) {
  ResolverNews* room = untold_.empty() ? news_.room() : nullptr;
  if (room == nullptr) {
    untold_.push_back(news);
    return;
  }
  *room = news;
  news_.publish();
}

void Resolver::lookForPolicies() {
  policiesAtNs_ = nowNs();
  ResolverNews news;
  news.kind = ResolverNews::Kind::policies;
  news.up = Netlink::policies();
  if (news.up == policies_) return;
  policies_ = news.up;
  tell(news);
}

void Resolver::tellAddresses() {
  addressesMoved_ = false;
  ResolverNews news;
  news.kind = ResolverNews::Kind::addresses;
  news.addresses = new std::vector<Address>(kernel_.addresses());
  std::sort(news.addresses->begin(), news.addresses->end(), hostBefore);
  tell(news);
}

}  // namespace sallyport::xdp
