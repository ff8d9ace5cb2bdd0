// Test fixture: the groups of unit test cases.
#pragma once
#include <vector>

#include "check.hpp"

namespace sallyport::test {

std::vector<Case> indexCases();
std::vector<Case> keyCases();
std::vector<Case> legCases();
std::vector<Case> ruleCases();

}  // namespace sallyport::test
