// Gives each input of a corpus, framed by a 32-bit length, to the fuzz target this is linked with. For compilers without
// libFuzzer. Prints how many there were.
#include <unistd.h>

#include <memory>
#include <vector>

#include "fuzz/target.hpp"

int main() {
  std::vector<uint8_t> all;
  uint8_t part[65536];
  for (ssize_t count; (count = read(0, part, sizeof part)) > 0;) all.insert(all.end(), part, part + count);
  unsigned inputs = 0;
  for (size_t at = 0; at + 4 <= all.size(); inputs++) {
    size_t const length = size_t{all[at]} << 24 | size_t{all[at + 1]} << 16 | size_t{all[at + 2]} << 8 | all[at + 3];
    at += 4;
    if (length > all.size() - at) return 2;
    LLVMFuzzerTestOneInput(all.data() + at, length);
    at += length;
  }
  std::printf("%u\n", inputs);
  return 0;
}
