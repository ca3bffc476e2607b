// SPDX-License-Identifier: Apache-2.0
// POINTWISE from the outside: which programs are accepted, and which of the implementations serves one.
#include "cpu_features.h"
#include "pointwise.h"

namespace backplane::cpu {
namespace {

/// A copy of several inputs to several outputs may be a swap in place: give each copied input its own value.
Program with_own_outputs(const Program& program, const std::vector<bp_tensor_desc>& inputs) {
  Program result = program;
  if (program.outputs.size() < 2) return result;
  for (uint16_t& output : result.outputs) {
    if (output >= program.num_inputs) continue;
    bp_instr copy{};
    copy.code = BP_S_CAST;
    copy.dtype = static_cast<uint16_t>(inputs[output].dtype);
    copy.a = output;
    output = static_cast<uint16_t>(program.num_inputs + result.instrs.size());
    result.instrs.push_back(copy);
  }
  return result;
}

}  // namespace

WorkPtr make_pointwise(const Program& program, const std::vector<bp_tensor_desc>& inputs,
                       const std::vector<bp_tensor_desc>& outputs) {
  if (program.instrs.empty() && program.outputs.size() == 1) {
    if (WorkPtr copy = make_permuted_copy(inputs[program.outputs[0]], outputs[0]); copy && inputs.size() == 1)
      return copy;
  }
  return make_blocks(with_own_outputs(program, inputs), inputs, outputs);
}

WorkPtr make_copy(const bp_tensor_desc& x, const bp_tensor_desc& y) {
  Program program;
  program.num_inputs = 1;
  program.outputs = {0};
  if (x.dtype != y.dtype) {
    bp_instr cast{};
    cast.code = BP_S_CAST;
    cast.dtype = static_cast<uint16_t>(y.dtype);
    program.instrs = {cast};
    program.outputs = {1};
  }
  return make_pointwise(program, {x}, {y});
}

std::string refuse_program(const Program& program, const std::vector<uint32_t>& input_dtypes) {
  std::vector<uint32_t> dtypes = input_dtypes;
  if (dtypes.size() != program.num_inputs) return "the program's number of inputs differs from the operation's";
  for (const bp_instr& instr : program.instrs) {
    const uint16_t operands[] = {instr.a, instr.b, instr.c};
    const int used = instr.code == BP_S_CONST ? 0 : instr.code < 32 ? 1 : instr.code < 64 ? 2 : 3;
    for (int k = 0; k < used; ++k) {
      if (operands[k] >= dtypes.size()) return "an instruction reads a value that is not defined before it";
    }
    const uint32_t from = used == 0 ? instr.dtype : dtypes[instr.code == BP_S_SELECT ? instr.b : instr.a];
    const bool known = instr.code == BP_S_CONST || instr.code == BP_S_CAST ||
                       (instr.code <= BP_S_SELECT && isa().op[instr.code][compute_of(from)] != nullptr);
    if (!known) {
      return "scalar opcode " + std::to_string(instr.code) + " is not offered for " + sdk::dtype_name(from);
    }
    dtypes.push_back(instr.dtype);
  }
  for (uint16_t output : program.outputs) {
    if (output >= dtypes.size()) return "an output names a value that is not defined";
  }
  return {};
}

std::string refuse_pointwise(const Op& op) {
  for (const bp_tensor_desc& desc : op.in) {
    if (!same_shape(desc, op.out[0])) return "operands differ in shape";
  }
  std::vector<uint32_t> dtypes;
  for (const bp_tensor_desc& desc : op.in) dtypes.push_back(desc.dtype);
  return refuse_program(*op.program, dtypes);
}

void list_pointwise(const Op& op, Candidates& out) {
  out.push_back(ready("blocks", make_pointwise(*op.program, op.in, op.out)));
}

}  // namespace backplane::cpu
