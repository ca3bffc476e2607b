// SPDX-License-Identifier: Apache-2.0
// Regular expressions over rows, and `--slow`, which makes some slower on purpose: to see whether a comparison notices.
#pragma once

#include <regex>
#include <string>

namespace backplane::bench {

/// Throws Error, which names the option.
std::regex pattern_of(const std::string& text, const char* option);

/// "PATTERN=1.1": rows of that pattern do calls again (Contestant::repeat).
class Slow {
 public:
  /// Throws Error. Nothing is slowed by an empty text.
  explicit Slow(const std::string& text);
  double factor(const std::string& row) const { return times_ > 1 && std::regex_search(row, pattern_) ? times_ : 1; }

 private:
  std::regex pattern_;
  double times_ = 1;
};

}  // namespace backplane::bench
