// Plays the script on standard input through the core; writes the names of the counters, a line end, and what came out.
#include <unistd.h>

#include <cstdio>

#include "script.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

Octets readAll() {
  Octets all;
  uint8_t part[65536];
  for (;;) {
    ssize_t const count = read(0, part, sizeof part);
    if (count <= 0) return all;
    all.insert(all.end(), part, part + count);
  }
}

}  // namespace

int main() {
  Octets const script = readAll();
  Plane plane(1024);
  Octets out;
  for (size_t at = 0; at < counterCount; at++) {
    if (at > 0) out.push_back(' ');
    for (char const* name = counterNames[at]; *name != 0; name++) out.push_back(static_cast<uint8_t>(*name));
  }
  out.push_back('\n');
  Script player(plane);
  if (!player.play(script.data(), script.size(), out)) {
    std::fprintf(stderr, "the script does not parse\n");
    return 2;
  }
  player.end();
  // A leg that is gone leaves no key: what is taken is the worker's own scratch.
  if (plane.pool.taken() != 1) {
    std::fprintf(stderr, "%zu keys are left\n", plane.pool.taken());
    return 3;
  }
  for (size_t at = 0; at < out.size();) {
    ssize_t const count = write(1, out.data() + at, out.size() - at);
    if (count <= 0) return 4;
    at += static_cast<size_t>(count);
  }
  return 0;
}
