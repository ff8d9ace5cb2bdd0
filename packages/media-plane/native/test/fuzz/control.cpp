// Control: any sequence of plans, changes, joins, packets and time on legs; afterwards no key is left.
#include "script.hpp"
#include "target.hpp"

using namespace sallyport::test;

int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length) {
  static Plane plane;
  Octets out;
  Script script(plane);
  script.play(octets, length, out);
  script.end();
  plane.sendKeys = sallyport::SendKeys();
  PROMISE(plane.pool.taken() == 1);
  return 0;
}
