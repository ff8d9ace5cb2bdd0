// Any datagram: its kind, its header, and whether it is clear media. Nothing is read beyond it.
#include "target.hpp"

#include <cstring>
#include <memory>

#include "clear.hpp"
#include "packet.hpp"
#include "statistics.hpp"

using namespace sallyport;

int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length) {
  // A copy of the very size, so that the sanitizer sees a step too far.
  std::unique_ptr<uint8_t[]> const packet(new uint8_t[length + 1]);
  std::unique_ptr<uint8_t[]> const exact(length == 0 ? nullptr : new uint8_t[length]);
  if (length > 0) std::memcpy(exact.get(), octets, length);
  uint8_t const* const at = length == 0 ? packet.get() : exact.get();
  Kind const kind = classify(at, length);
  size_t const header = rtpHeaderLength(at, length);
  PROMISE(header == 0 || (header >= 12 && header <= length));
  PROMISE(kind != Kind::rtp || length >= 12);
  PROMISE(kind != Kind::rtcp || length >= 8);
  PROMISE(classify(at, length, true) != Kind::rtp || length >= 12);
  looksClearRtp(at, length, header, 22);
  if (header >= 12) looksClearRtp(at, length, header, 0);
  looksClearRtcp(at, length);
  isLoneApp(at, length);
  if (kind == Kind::rtp) {
    static Reception reception;
    static double now = 0;
    reception.arrived(at, now += 20);
    reception.lost();
  }
  if (kind == Kind::rtcp) {
    static RoundTrip roundTrip;
    static double now = 0;
    roundTrip.left(at, length, now += 1);
    roundTrip.came(at, length, now += 1);
  }
  return 0;
}
