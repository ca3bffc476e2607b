// SPDX-License-Identifier: Apache-2.0
#include "slow.h"

#include <cstdlib>

#include "backplane/graph/types.h"

namespace backplane::bench {

std::regex pattern_of(const std::string& text, const char* option) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& error) {
    throw Error(std::string("[bench] ") + option + " '" + text + "': " + error.what());
  }
}

Slow::Slow(const std::string& text) {
  if (text.empty()) return;
  const size_t equals = text.rfind('=');
  if (equals != std::string::npos) times_ = std::atof(text.c_str() + equals + 1);
  if (equals == std::string::npos || !(times_ >= 1 && times_ <= 10))
    throw Error("[bench] --slow '" + text + "' is not PATTERN=FACTOR with a factor from 1 to 10");
  pattern_ = pattern_of(text.substr(0, equals), "--slow");
}

}  // namespace backplane::bench
