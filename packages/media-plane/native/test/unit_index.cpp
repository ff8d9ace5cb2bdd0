// Packet indices, replay windows and the table of SSRCs.
#include <map>
#include <random>
#include <set>

#include "cases.hpp"
#include "replay.hpp"
#include "source-table.hpp"

namespace sallyport::test {
namespace {

void guesses() {
  EXPECT(guessIndex(65535, 0) == 65536);
  EXPECT(guessIndex(65536, 65535) == 65535);
  EXPECT(guessIndex(5, 65535) == 65535);
  EXPECT(guessIndex(65536 + 100, 65535) == 65535);
  EXPECT(guessIndex(3 * 65536 + 40000, 100) == 4 * 65536 + 100);
  EXPECT(guessIndex(indexEnd - 1, 0) == indexEnd);
  std::mt19937_64 random(1);
  for (int round = 0; round < 100'000; round++) {
    auto const highest = static_cast<int64_t>(random() % (uint64_t{1} << 40)) + 65536;
    auto const sequence = static_cast<uint16_t>(random());
    int64_t const guess = guessIndex(highest, sequence);
    EXPECT((guess & 0xffff) == sequence);
    EXPECT(guess - highest <= 32768 && highest - guess <= 32768);
  }
}

/** Against a set of everything seen: whatever order indices come in. */
void windowAgainstSet() {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; round++) {
    int64_t const resumed = round % 3 == 0 ? static_cast<int64_t>(random() % 300) : -1;
    IndexWindow window(resumed);
    std::set<int64_t> seen;
    int64_t highest = resumed;
    int64_t around = resumed + 1;
    for (int step = 0; step < 400; step++) {
      around += static_cast<int64_t>(random() % (random() % 20 == 0 ? 300 : 3));
      int64_t const index = around - static_cast<int64_t>(random() % (random() % 4 == 0 ? 260 : 5));
      if (index < 0) continue;
      bool const old = index <= highest && highest - index >= 128;
      bool const twice = index <= resumed || seen.count(index) != 0;
      Seen const expected = old ? Seen::tooOld : index <= highest && twice ? Seen::replay : Seen::fresh;
      EXPECT(window.check(index) == expected);
      if (expected != Seen::fresh) continue;
      window.mark(index);
      seen.insert(index);
      if (index > highest) highest = index;
      EXPECT(window.highest() == highest);
    }
  }
}

struct Entry {
  uint32_t ssrc = 0;
  bool taken = false;
  uint32_t value = 0;
};

void table() {
  std::mt19937 random(7);
  for (int round = 0; round < 50; round++) {
    SourceTable<Entry> sources;
    std::map<uint32_t, uint32_t> expected;
    for (int step = 0; step < 300; step++) {
      // SSRC 0, equal low halves and equal high halves: what a stranger may choose.
      uint32_t const ssrc = step % 3 == 0 ? random() % 4 : step % 3 == 1 ? (random() % 100) << 16 : random();
      Entry* entry = sources.find(ssrc);
      EXPECT((entry != nullptr) == (expected.count(ssrc) != 0));
      if (entry != nullptr) {
        EXPECT(entry->value == expected[ssrc]);
        continue;
      }
      entry = sources.add(ssrc);
      entry->value = expected[ssrc] = random();
    }
    EXPECT(sources.size() == expected.size());
    uint32_t visited = 0;
    sources.each([&](Entry const& entry) { visited += expected.at(entry.ssrc) == entry.value; });
    EXPECT(visited == expected.size());
  }
}

}  // namespace

std::vector<Case> indexCases() {
  return {
      {"RFC 3711 3.3.1: the guessed index is the nearest with these 16 bits", guesses},
      {"RFC 3711 3.3.2: a window of 128 takes each index once", windowAgainstSet},
      {"the table of SSRCs finds what was put in, and nothing else", table},
  };
}

}  // namespace sallyport::test
