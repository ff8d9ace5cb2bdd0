// See identity.hpp.
#include "identity.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "suite.hpp"

namespace sallyport {

Identity identityOf(uint8_t const* master, unsigned length) {
  static constexpr char prefix[] = "sallyport key identity";
  constexpr unsigned prefixLength = sizeof prefix - 1;
  uint8_t text[prefixLength + maxMasterLength];
  std::memcpy(text, prefix, prefixLength);
  std::memcpy(text + prefixLength, master, length);
  Identity identity;
  EVP_Digest(text, prefixLength + length, identity.digest, nullptr, EVP_sha256(), nullptr);
  OPENSSL_cleanse(text, sizeof text);
  return identity;
}

}  // namespace sallyport
