// Test fixture: plays a script of operations (records of octets) on legs of the core and writes down what comes out, in the
// form that test/native-differential.test.ts writes for the portable engine. Any octets are a script: what does not parse
// ends it, so that a fuzzer may write scripts too.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "plane.hpp"

namespace sallyport::test {

class Script {
 public:
  explicit Script(Plane& plane) : plane_(plane) {}

  /** Plays until the octets end or do not parse; true when they ended. What came out is appended to `out`. */
  bool play(uint8_t const* octets, size_t length, Octets& out);
  /** Takes all legs away. */
  void end();

 private:
  struct Reader;
  bool step(Reader& reader, Octets& out);
  bool readChange(Reader& reader, LegChange& change);
  void events(Octets& out);

  static constexpr unsigned maxLegs = 16;
  Plane& plane_;
  std::array<std::unique_ptr<TestLeg>, maxLegs> legs_;
  uint64_t nowNs_ = 1'000'000'000'000;
};

}  // namespace sallyport::test
