// What turns on addresses, rates and time.
#include "cases.hpp"
#include "clear.hpp"
#include "packet.hpp"
#include "plane.hpp"

namespace sallyport::test {
namespace {

void prefixes() {
  Address const network = ipv4(0b10100000, 0);
  EXPECT(inPrefix(network, 0, ipv4(1, 1)));
  EXPECT(inPrefix(network, 27, ipv4(0b10111111, 1)) && !inPrefix(network, 28, ipv4(0b10111111, 1)));
  EXPECT(inPrefix(network, 32, ipv4(0b10100000, 9)) && !inPrefix(network, 32, ipv4(0b10100001, 9)));
  Address six;
  six.family = 6;
  EXPECT(inPrefix(six, 0, ipv4(1, 1)) && !inPrefix(six, 90, ipv4(1, 1)) && inPrefix(six, 128, six));
  // RFC 4291 2.5.5.2: an IPv4 address is the IPv6 address mapped from it, and nothing else.
  EXPECT(!inPrefix(network, 0, six));
  six.octets[10] = six.octets[11] = 0xff;
  std::memcpy(six.octets + 12, network.octets, 4);
  EXPECT(inPrefix(six, 128, network) && inPrefix(network, 32, six) && !inPrefix(six, 128, ipv4(1, 1)));
}

void buckets() {
  Police police(Policing{1000, 500, 0, 0}, 0);
  EXPECT(police.conforms(500, 0) && !police.conforms(1, 0));
  EXPECT(!police.conforms(100, 99) && police.conforms(100, 100));
  // Time that stands still or goes back fills nothing.
  EXPECT(!police.conforms(1, 100) && !police.conforms(1, 50));
  Police peak(Policing{0, 0, 8000, 10}, 0);
  EXPECT(peak.conforms(1500, 0) && !peak.conforms(1, 0));
}

void latches() {
  Latch latch;
  Address const one = ipv4(1, 10);
  Address const other = ipv4(2, 10);
  EXPECT(latch.hears(one, ipv4(1, 99)) && !latch.hears(one, other) && !latch.hears(Address(), one));
  latch.apply(LatchRule::latch);
  EXPECT(latch.hears(Address(), other));
  latch.learn(one);
  latch.learn(other);
  EXPECT(latch.learned() == one && !latch.hears(one, other) && !latch.hears(one, ipv4(1, 11)));
  latch.apply(LatchRule::relatch);
  latch.learn(one);
  latch.learn(other);
  latch.learn(one);
  EXPECT(latch.learned() == other);
  latch.remoteMoved();
  EXPECT(latch.learned().family == 0 && latch.hears(Address(), one));
  latch.apply(LatchRule::off);
  latch.learn(one);
  EXPECT(latch.learned().family == 0);
}

void kinds() {
  uint8_t octets[24] = {};
  auto const kind = [&octets](uint8_t first, uint8_t second, size_t length) {
    octets[0] = first;
    octets[1] = second;
    return classify(octets, length);
  };
  EXPECT(kind(0, 0, 20) == Kind::stun && kind(3, 0, 20) == Kind::stun && kind(4, 0, 20) == Kind::unknown);
  EXPECT(kind(0, 0, 19) == Kind::unknown && kind(20, 0, 13) == Kind::dtls && kind(63, 0, 13) == Kind::dtls);
  EXPECT(kind(64, 0, 24) == Kind::unknown && kind(127, 0, 24) == Kind::unknown && kind(192, 0, 24) == Kind::unknown);
  EXPECT(kind(128, 191, 12) == Kind::rtp && kind(128, 192, 8) == Kind::rtcp && kind(191, 223, 8) == Kind::rtcp);
  EXPECT(kind(128, 224, 12) == Kind::rtp && kind(128, 0, 11) == Kind::unknown && kind(128, 200, 7) == Kind::unknown);
  // RFC 3551 6: on a port of its own RTP keeps away from five types only.
  octets[1] = 199;
  EXPECT(classify(octets, 12, true) == Kind::rtp);
  octets[1] = 200;
  EXPECT(classify(octets, 12, true) == Kind::rtcp);
  octets[1] = 204;
  EXPECT(classify(octets, 12, true) == Kind::rtcp);
  octets[1] = 205;
  EXPECT(classify(octets, 12, true) == Kind::rtp);
  // RFC 3550 5.1: CSRCs and an extension that end beyond the packet.
  octets[0] = 0x8f;
  EXPECT(rtpHeaderLength(octets, 24) == 0);
  octets[0] = 0x90;
  octets[15] = 2;
  EXPECT(rtpHeaderLength(octets, 24) == 24);
  octets[15] = 3;
  EXPECT(rtpHeaderLength(octets, 24) == 0);
}

void silence() {
  Plane plane;
  TestLeg one(plane, 1);
  TestLeg other(plane, 2);
  LegChange change = open(Protection::clear, SuiteId::aesCm128Sha1_80, 1);
  change.inactivityNs = 100;
  one.change(change, 1000);
  other.change(open(Protection::clear, SuiteId::aesCm128Sha1_80, 2), 1000);
  Leg::join(*one.leg, *other.leg);
  Event event;
  one.leg->tick(1099);
  EXPECT(!plane.events.pop(event) && one.leg->deadline() == 1100);
  pass(*one.leg, Flow::rtp, rtp(1, 1), ipv4(1, 5000), 1050);
  one.leg->tick(1100);
  EXPECT(plane.events.pop(event) && event.what == static_cast<uint8_t>(Direction::out) && !plane.events.pop(event));
  one.leg->tick(1150);
  EXPECT(plane.events.pop(event) && event.what == static_cast<uint8_t>(Direction::in));
  EXPECT(one.leg->deadline() == UINT64_MAX);
  pass(*other.leg, Flow::rtp, rtp(1, 1), ipv4(2, 5000), 1200);
  EXPECT(one.leg->deadline() == 1300);
}

void flood() {
  Plane plane;
  TestLeg leg(plane, 1);
  leg.change(open(Protection::srtp), 1);
  uint64_t alarms = 0;
  uint64_t packets = 0;
  for (uint64_t at = 0; at < 50'000; at++) {
    pass(*leg.leg, Flow::rtp, rtp(1, static_cast<uint16_t>(at), 30), ipv4(1, 5000), at * 1'000'000);
    for (Event event; plane.events.pop(event);) {
      alarms += 1;
      packets += event.count;
    }
  }
  // One at once, then one in ten seconds.
  EXPECT(alarms == 5 && packets == 40'001);
}

void ring() {
  EventRing events;
  for (uint32_t leg = 0; leg < 2000; leg++) events.push({leg, EventKind::inactive, 0, 0, 0});
  Event event;
  uint32_t read = 0;
  while (events.pop(event)) EXPECT(event.leg == read++);
  EXPECT(read == EventRing::capacity);
  events.push({7, EventKind::inactive, 0, 0, 0});
  EXPECT(events.pop(event) && event.leg == 7 && !events.pop(event));
}

}  // namespace

std::vector<Case> ruleCases() {
  return {
      {"H.248.43: an address prefix", prefixes},
      {"H.248.53: token buckets", buckets},
      {"H.248.37: off, latch, relatch, a remote that moves", latches},
      {"RFC 7983 7, RFC 5761 4, RFC 3550 5.1: kinds of datagrams and header lengths", kinds},
      {"H.248.40: silence is told once a direction, and anew after traffic", silence},
      {"a flood of packets is one alarm in ten seconds, and it says how many", flood},
      {"at most 1,024 events between two polls", ring},
  };
}

}  // namespace sallyport::test
