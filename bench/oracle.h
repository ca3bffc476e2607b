// SPDX-License-Identifier: Apache-2.0
// What a case should give, and how far a result is from it. No row without this.
//
// The reference device answers where it does so in seconds; for larger problems the CPU card does, itself tested against
// the reference. An error is the largest difference relative to the largest value of that output: what is left after n
// roundings of random sign is about sqrt(n) of them (Higham and Mary, "A new approach to probabilistic rounding error
// analysis", 2019), so sums of n products may differ by eps * 6 sqrt(n). This is a check of the row, not the test of the
// kernel: tests/cards compares element by element, with guards, at every edge.
#pragma once

#include <string>
#include <vector>

#include "case.h"

namespace backplane::bench {

struct Expected {
  std::vector<std::vector<std::byte>> outputs;
  std::string by;  ///< the device that said so
};
Expected expected(const Case& c, const std::vector<std::vector<std::byte>>& values);

struct Difference {
  double error = 0;    ///< of the worst output
  double allowed = 0;  ///< for that output
  bool ok() const { return error <= allowed; }
};
/// `notes` are the variant's BP_NOTE_*: a variant that declares weaker arithmetic is held to that.
Difference compare(const Case& c, const Expected& expected, const std::vector<std::vector<std::byte>>& outputs,
                   uint32_t notes);

}  // namespace backplane::bench
