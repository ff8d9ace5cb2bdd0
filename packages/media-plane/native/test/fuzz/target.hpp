// Fuzz targets: one function each, called by libFuzzer, or by replay.cpp with a corpus where clang is missing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length);

/** What a target promises; a broken one ends the run. */
#define PROMISE(condition)                                                  \
  do {                                                                      \
    if (!(condition)) {                                                     \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
      std::abort();                                                         \
    }                                                                       \
  } while (false)
