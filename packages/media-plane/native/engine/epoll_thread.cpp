#include "epoll_thread.hpp"
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace sallyport {
namespace {

/** One socket may not keep the others waiting. */
constexpr int roundsPerSocket = 4;

}  // namespace

EpollThread::~EpollThread() {
  if (epoll_ >= 0) close(epoll_);
}

bool EpollThread::prepare(std::string& why) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.ptr = nullptr;
  if (epoll_ >= 0 && epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeFd_, &wake) == 0) return true;
  why = std::string("epoll: ") + std::strerror(errno);
  return false;
}

void EpollThread::listen(Wire& wire) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &wire;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wire.fd, &event);
  wire.listening = true;
}

void EpollThread::leave(Wire& wire) {
  if (wire.listening) epoll_ctl(epoll_, EPOLL_CTL_DEL, wire.fd, nullptr);
  wire.listening = false;
  for (int at = 0; at < ready_; ++at) {
    epoll_event& event = events_[static_cast<size_t>(at)];
    if (event.data.ptr == &wire) event.data.ptr = nullptr;
  }
}

void EpollThread::run() {
  while (!stopping()) {
    int wait = 0;
    const unsigned batch = batchUs();
    if (more_) {
      // Some have not been looked at yet.
    } else if (batch > 0) {
      // Under load the clock wakes, not each packet.
      const timespec pause{0, static_cast<long>(batch) * 1000};
      nanosleep(&pause, nullptr);
    } else if (mayFallAsleep()) {
      wait = idleMs;
    }
    int found = gather(wait);
    // A socket that was ready may be gone since.
    if (awake()) found = gather(0);
    hear(found);
    takeCommands();
    nowNs_ = nowNs();
    workOff();
    account();
    listenInOrder();
    tick(nowNs_);
  }
}

int EpollThread::gather(int waitMs) { return epoll_wait(epoll_, events_.data(), eventsAtOnce, waitMs); }

void EpollThread::hear(int found) {
  ready_ = found;
  more_ = found == eventsAtOnce;
}

void EpollThread::workOff() {
  eachReady([this](Wire& wire) { readFrom(wire); });
}

void EpollThread::account() {
  if (packets_ == 0) return;
  sawPackets(packets_);
  stats_.packetsIn.add(packets_);
  stats_.packetsOut.add(sends_);
  stats_.wakes.add(1);
  packets_ = sends_ = 0;
}

void EpollThread::readFrom(Wire& wire) {
  Port& port = *wire.port;
  for (int round = 0; round < roundsPerSocket; ++round) {
    mmsghdr messages[datagrams];
    iovec parts[datagrams];
    for (size_t at = 0; at < datagrams; ++at) {
      parts[at] = {buffers_[at].data(), bufferOctets};
      messages[at] = {};
      messages[at].msg_hdr.msg_name = &names_[at];
      messages[at].msg_hdr.msg_namelen = sizeof names_[at];
      messages[at].msg_hdr.msg_iov = &parts[at];
      messages[at].msg_hdr.msg_iovlen = 1;
    }
    const int count = recvmmsg(wire.fd, messages, datagrams, MSG_DONTWAIT, nullptr);
    if (count <= 0) return;
    packets_ += static_cast<unsigned>(count);
    for (size_t at = 0; at < static_cast<size_t>(count); ++at) {
      const size_t length = messages[at].msg_len;
      if ((messages[at].msg_hdr.msg_flags & MSG_TRUNC) != 0 || length + maxGrowth > bufferOctets) {
        stats_.oversized.add(1);
        continue;
      }
      Address source;
      fromSystem(names_[at], source);
      Outgoing out;
      uint8_t* const datagram = buffers_[at].data();
      if (receive(*port.slot, port.flow, datagram, length, bufferOctets, source, nowNs_, out) != Verdict::send) continue;
      Port& through = static_cast<Slot*>(out.leg)->ports[static_cast<unsigned>(out.flow)];
      ++sends_;
      sendOut(through, out, datagram);
    }
    if (count < static_cast<int>(datagrams)) return;
  }
}

void EpollThread::sendBySocket(Port& through, Outgoing const& out, uint8_t* datagram) {
  const int fd = wireFor(through, out.to).fd;
  SocketAddress to;
  const socklen_t toLength = through.connected ? 0 : toSystem(out.to, to);
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (sendto(fd, datagram, out.length, flags, toLength > 0 ? &to.any : nullptr, toLength) >= 0) return;
  if (errno == ECONNREFUSED) refusedBy(through);
  out.leg->sendError();
  stats_.sendErrors.add(1);
}

}  // namespace sallyport
