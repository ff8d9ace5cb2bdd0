// Owns what makes two keys "the same terms": suite, master key, MKI and lifetime. The same terms leave contexts alone.
#pragma once
#include <cstdint>
#include <vector>

#include "identity.hpp"
#include "plan.hpp"

namespace sallyport {

struct Terms {
  Identity identity;
  SuiteId suite = SuiteId::aesCm128Sha1_80;
  uint64_t lifetime = 0;
  std::vector<uint8_t> mki;
};

inline bool operator==(Terms const& a, Terms const& b) noexcept {
  return a.suite == b.suite && a.lifetime == b.lifetime && a.identity == b.identity && a.mki == b.mki;
}

inline bool operator!=(Terms const& a, Terms const& b) noexcept { return !(a == b); }

}  // namespace sallyport
