// SRTCP: the same as for SRTP, with its word and its index.
#include "forge.hpp"

int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length) { return sallyport::test::forge(octets, length, true); }
