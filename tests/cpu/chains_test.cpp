// SPDX-License-Identifier: Apache-2.0
// Chains of pointwise arithmetic (plugins/cpu/isa/chain_loops.h): the same bits as operation by operation, in every
// form of operand. Exact because the operations used are; other cards promise less.
#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

TEST(CpuChains, ArithmeticInARowRoundsLikeSingleOperations) {
  const double values[] = {NAN, 1, -1, INFINITY, -INFINITY, 0, -0.0, 2.7, 1e-3, -3.3};
  for (int64_t n : {31, 256, 1037, 5000}) {
    ProgramSpec p;
    p.num_inputs = 2;
    p.instrs = {constant(BP_F32, 1.7),              // 2
                instr(BP_S_SUB, BP_F32, 2, 0),      // 3 constant first
                instr(BP_S_MAX, BP_F32, 3, 1),      // 4 memory second
                instr(BP_S_MIN, BP_F32, 0, 4),      // 5 memory first
                instr(BP_S_MUL, BP_F32, 5, 5),      // 6 both operands the same
                instr(BP_S_NEG, BP_F32, 6),         // 7
                instr(BP_S_DIV, BP_F32, 2, 7),      // 8
                instr(BP_S_MUL, BP_F32, 0, 2),      // 9 leaves 8 behind, in memory
                instr(BP_S_ADD, BP_F32, 9, 1),      // 10 must not contract with 9
                instr(BP_S_MAX, BP_F32, 2, 10),     // 11
                instr(BP_S_ABS, BP_F32, 11),        // 12
                instr(BP_S_SQRT, BP_F32, 12),       // 13
                instr(BP_S_SUB, BP_F32, 1, 13),     // 14
                instr(BP_S_ADD, BP_F32, 8, 14),     // 15
                instr(BP_S_FLOOR, BP_F32, 1),       // 16 is not part of a row and ends it
                instr(BP_S_MIN, BP_F32, 15, 16),    // 17
                instr(BP_S_SUB, BP_F32, 17, 4)};    // 18 reads what was left in memory
    p.outputs = {18, 10, 7, 15};
    for (Lay lay : {Lay::dense, Lay::stepped, Lay::scalar}) {
      Case c;
      c.name = "arithmetic in a row of " + std::to_string(n), c.code = BP_OP_POINTWISE;
      c.in = {lay_out(BP_F32, {n}), lay_out(BP_F32, {n}, lay)}, c.out.assign(4, lay_out(BP_F32, {n}));
      c.program = p, c.has_program = true;
      c.value = [&](size_t i, int64_t e) { return i == 0 ? values[e % 10] : values[e / 10 % 10]; };
      c.bound.exact = true;
      compare(c);
    }
  }
}

// Results too large for the caches are written past them, in place as well, and where another result reads them again.
TEST(CpuChains, LargeResultsThatAreReadAgain) {
  const bp_tensor_desc d = lay_out(BP_F32, {4'300'003});
  Case c;
  c.name = "large chain", c.code = BP_OP_POINTWISE, c.has_program = true;
  c.in = {d}, c.out = {d, d};
  c.program = {{constant(BP_F32, 0.9), instr(BP_S_MUL, BP_F32, 0, 1), instr(BP_S_ADD, BP_F32, 2, 1),
                instr(BP_S_MAX, BP_F32, 3, 0), instr(BP_S_SUB, BP_F32, 4, 2), instr(BP_S_MUL, BP_F32, 5, 0)},
               1,
               {2, 6}};
  c.bound.exact = true;
  compare(c);
  c.aliases = {{0, 0}};
  compare(c);
}

}  // namespace
}  // namespace card_test
