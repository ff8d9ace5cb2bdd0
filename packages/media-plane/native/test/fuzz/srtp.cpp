// SRTP: what is sealed and then changed never passes, what is not passes once, and nothing leaves in clear.
#include "forge.hpp"

int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length) { return sallyport::test::forge(octets, length, false); }
