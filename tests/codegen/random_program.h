// SPDX-License-Identifier: Apache-2.0
// Random valid scalar programs, with what may be expected of each of their values.
//
// Values that depend on a function of limited accuracy are only passed on by instructions that keep their relative error,
// so that every other value is exact and comparisons and roundings of it have one right answer.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "backplane/plugin.h"

namespace codegen_test {

struct RandomProgram {
  std::vector<uint32_t> input_dtypes;
  std::vector<bp_instr> instrs;
  std::vector<uint16_t> outputs;
  std::vector<uint32_t> dtypes;  ///< of all values
  std::vector<double> ulps;      ///< of all values: how far off they may be, in units of their own dtype's last place

  /// Borrows the vectors above.
  bp_program view() const;
};

struct Wishes {
  uint32_t instructions = 16;
  uint32_t inputs = 5;
  uint32_t outputs = 1;
  bool wide_types = true;           ///< f64 and i64
  bool functions_of_f64 = true;
};

RandomProgram random_program(std::mt19937& random, const Wishes& wishes);

}  // namespace codegen_test
