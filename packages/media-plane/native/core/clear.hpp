// Owns the recognition of clear media among packets that did not verify on a protected leg, for counters and alarms.
// Nothing is ever accepted on its word: it runs only on what is being dropped (invariant 3). As portable/clear.ts.
#pragma once
#include <cstddef>
#include <cstdint>

namespace sallyport {

/** Whether an RTP packet that failed to verify is recognisably not SRTP. `header` as found, 0 if none. */
bool looksClearRtp(uint8_t const* packet, size_t length, size_t header, size_t shortest) noexcept;

/** Whether an RTCP packet that failed to verify is recognisably not SRTCP. */
bool looksClearRtcp(uint8_t const* packet, size_t length) noexcept;

/** Whether a clear RTCP datagram is one application-defined packet and nothing else (RFC 3550 6.7). */
bool isLoneApp(uint8_t const* packet, size_t length) noexcept;

}  // namespace sallyport
