// SPDX-License-Identifier: Apache-2.0
// One operation, run on the reference card and on the card under test with every variant, and compared.
//
// The bound on an element is eps(dtype) * (weight + spread * sqrt(terms)) * magnitude. For sums of products magnitude
// is the same operation on absolute values and spread 6: the probabilistic bound of Higham and Mary ("A new approach to
// probabilistic rounding error analysis", 2019); elsewhere it is max(|reference|, floor). Integers, and operations that
// only move data, are compared exactly.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "card.h"

namespace card_test {

struct ProgramSpec {
  std::vector<bp_instr> instrs;
  uint32_t num_inputs = 0;
  std::vector<uint16_t> outputs;
};
bp_instr instr(uint16_t code, uint32_t dtype, uint16_t a = 0, uint16_t b = 0, uint16_t c = 0);
bp_instr constant(uint32_t dtype, double value);

struct Bound {
  double weight = 4;      // roundings outside of the sum, in units of eps
  double terms = 0;       // length of the longest sum
  double floor = 0;       // least magnitude
  bool linear = false;    // magnitude from absolute values
  bool exact = false;
};

struct Case {
  std::string name;
  uint32_t code = 0;
  std::vector<bp_tensor_desc> in, out;
  const void* attrs = nullptr;
  ProgramSpec program;
  bool has_program = false;
  Bound bound;
  double low = -1, high = 1;  // range of random inputs
  /// Overrides random values: value(input, flat index).
  std::function<double(size_t, int64_t)> value;
  /// Pairs (output, input) that are the same view.
  std::vector<std::pair<size_t, size_t>> aliases;
  uint64_t max_workspace = UINT64_MAX;
};

/// The fixture of tests that compare: a test of which the card offers nothing is skipped with the card's reason.
class CardTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

/// Runs the case on both cards; failures are GoogleTest failures that name case and variant.
void compare(const Case& c);
/// The same, and expects at least `count` variants.
void compare(const Case& c, size_t count);
/// The outputs that the reference card gives, in row-major order.
std::vector<std::vector<double>> on_reference(const Case& c);
/// The bp_op of a case; valid as long as the case and `program` live.
bp_op make_op(const Case& c, bp_program& program);

}  // namespace card_test
