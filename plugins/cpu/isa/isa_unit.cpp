// SPDX-License-Identifier: Apache-2.0
// Compiled once per instruction set: BP_ISA_NAMESPACE is isa_v2, isa_v3 or isa_v4 and BP_ISA_NAME its name for people.
// Everything but table() has internal linkage, so that the linker cannot mix code for different machines.
#include "isa/chain_loops.h"
#include "isa/gemm_loops.h"
#include "isa/isa_table.h"
#include "isa/move_loops.h"
#include "isa/pool_loops.h"
#include "isa/reduce_loops.h"
#include "isa/row_loops.h"
#include "isa/scalar_loops.h"
#include "isa/softmax_loops.h"

namespace backplane::cpu {
namespace {
IsaTable make_table() {
  IsaTable t{};
  t.name = BP_ISA_NAME;
  fill_scalar_table(t);
  fill_chain_table(t);
  fill_move_table(t);
  fill_reduce_table(t);
  fill_gemm_table(t);
  fill_row_table(t);
  fill_softmax_table(t);
  fill_pool_table(t);
  return t;
}
}  // namespace

namespace BP_ISA_NAMESPACE {
const IsaTable& table() {
  static const IsaTable instance = make_table();
  return instance;
}
}  // namespace BP_ISA_NAMESPACE
}  // namespace backplane::cpu
