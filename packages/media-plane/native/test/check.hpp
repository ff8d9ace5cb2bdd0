// Test fixture: named cases that run in order and say what failed; no framework.
#pragma once
#include <cstdio>

namespace sallyport::test {

struct Case {
  char const* name;
  void (*run)();
};

inline unsigned failures = 0;

inline void expect(bool holds, char const* what, char const* file, int line) {
  if (holds) return;
  failures += 1;
  std::printf("  %s:%d: %s\n", file, line, what);
}

}  // namespace sallyport::test

#define EXPECT(condition) ::sallyport::test::expect((condition), #condition, __FILE__, __LINE__)
