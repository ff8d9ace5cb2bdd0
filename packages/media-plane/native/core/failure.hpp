// Owns why a packet is refused: the codes of packages/srtp/src/result.ts, and `none`.
#pragma once
#include <cstdint>

namespace sallyport {

enum class Failure : uint8_t {
  none = 0,
  tooShort,
  malformed,
  mki,
  authentication,
  replay,
  tooOld,
  unencrypted,
  sources,
  lifetime,
  indexReuse,
  released,
  /** What the portable engine cannot meet: no memory for a new SSRC, no room in the buffer, a cipher that fails. */
  resources,
};

}  // namespace sallyport
