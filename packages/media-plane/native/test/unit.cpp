// Unit tests of the core. Prints one line a case, `ok` or `not ok`, and exits with 1 when one failed. Built by
// test/native-core.test.ts with the address and undefined behaviour sanitizers.
#include "cases.hpp"
#include "check.hpp"

using namespace sallyport::test;

int main() {
  unsigned failed = 0;
  for (auto const& group : {indexCases(), keyCases(), legCases(), ruleCases()}) {
    for (Case const& one : group) {
      unsigned const before = failures;
      one.run();
      bool const passed = failures == before;
      failed += passed ? 0 : 1;
      std::printf("%s %s\n", passed ? "ok" : "not ok", one.name);
    }
  }
  return failed == 0 ? 0 : 1;
}
