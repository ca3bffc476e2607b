// SPDX-License-Identifier: Apache-2.0
#include "ceiling_probes.h"

#include <algorithm>
#include <cstring>

#include "backplane/graph/ops.h"
#include "backplane/sdk/walk.h"

namespace backplane::bench {

namespace {

using report::CeilingKind;

constexpr int64_t kRow = 1024;  // elements of a row, where rows are summed, multiplied or normalized

bp_tensor_desc line_of(int64_t elements, DType dtype) {
  const Type type{dtype, {elements}};
  return to_desc(type, dense_layout(type.shape));
}

/// y[i] = f(x[i], ...) by `instrs`; without them a copy, without inputs a constant.
host::KernelOp pointwise(int64_t elements, DType dtype, uint32_t inputs, std::vector<bp_instr> instrs) {
  host::KernelOp op;
  op.code = BP_OP_POINTWISE, op.name = "pointwise";
  op.inputs.assign(inputs, line_of(elements, dtype));
  op.outputs = {line_of(elements, dtype)};
  op.program_inputs = inputs;
  op.program_outputs = {static_cast<uint16_t>(inputs + instrs.size() - 1)};
  op.instrs = std::move(instrs);
  return op;
}

bp_instr instruction(uint16_t code, DType dtype, size_t a, size_t b) {
  bp_instr result{};
  result.code = code, result.dtype = static_cast<uint16_t>(dtype);
  result.a = static_cast<uint16_t>(a), result.b = static_cast<uint16_t>(b);
  return result;
}

bp_instr constant(double value) {
  bp_instr result{};
  result.code = BP_S_CONST, result.dtype = static_cast<uint16_t>(DType::f32), result.imm.f = value;
  return result;
}

/// c = c x + x, `length` times in each of `chains` chains, and their sum.
host::KernelOp multiply_adds(int64_t elements, DType dtype, int chains, int length) {
  std::vector<bp_instr> program;
  const auto add = [&](uint16_t code, size_t a, size_t b) {
    program.push_back(instruction(code, dtype, a, b));
    return program.size();  // value 0 is the input
  };
  std::vector<size_t> ends(static_cast<size_t>(chains), 0);
  for (int step = 0; step < length; ++step) {
    for (size_t& end : ends) end = add(BP_S_ADD, add(BP_S_MUL, end, 0), 0);
  }
  size_t sum = ends[0];
  for (size_t i = 1; i < ends.size(); ++i) sum = add(BP_S_ADD, sum, ends[i]);
  return pointwise(elements, dtype, 1, std::move(program));
}

host::KernelOp kernel_of(const graph::OpDef& op, std::vector<graph::AttrArg> attrs, const Shape& shape) {
  return Case{"", &op, std::move(attrs), {{{DType::f32, shape}}}}.kernel_op();
}

const graph::AttrArg kFirstAxis{"axes", std::vector<int64_t>{0}}, kLastAxis{"axes", std::vector<int64_t>{1}};

}  // namespace

std::vector<Probe> bandwidth_probes(int64_t bytes) {
  constexpr DType f32 = DType::f32;
  const int64_t all = bytes / 4, half = bytes / 8, third = bytes / 12;
  const auto moved = static_cast<double>(bytes);
  const Shape rows{all / kRow, kRow}, half_rows{half / kRow, kRow};
  const auto probe = [&](CeilingKind kind, host::KernelOp op) { return Probe{kind, std::move(op), moved, bytes}; };
  return {probe(CeilingKind::read, kernel_of(graph::op::reduce_sum, {kFirstAxis}, {all})),
          probe(CeilingKind::read, kernel_of(graph::op::reduce_max, {kFirstAxis}, {all})),
          probe(CeilingKind::read, kernel_of(graph::op::reduce_sum, {kLastAxis}, rows)),
          probe(CeilingKind::read, matmul_case(all / kRow, 1, kRow).kernel_op()),
          probe(CeilingKind::read, matmul_case(1, all / kRow, kRow).kernel_op()),
          probe(CeilingKind::write, pointwise(all, f32, 0, {constant(1)})),
          probe(CeilingKind::copy, pointwise(half, f32, 1, {})),
          probe(CeilingKind::copy, pointwise(half, f32, 1, {constant(2), instruction(BP_S_MUL, f32, 0, 1)})),
          probe(CeilingKind::copy, pointwise(third, f32, 2, {instruction(BP_S_ADD, f32, 0, 1)})),
          probe(CeilingKind::copy, kernel_of(graph::op::softmax, {}, half_rows))};
}

std::vector<Probe> arithmetic_probes(int64_t elements, DType dtype) {
  std::vector<Probe> probes;
  for (const auto& [chains, length] : {std::pair{2, 15}, std::pair{4, 7}, std::pair{8, 3}}) {  // a program has 64 steps
    const double flops = (2.0 * chains * length + chains - 1) * static_cast<double>(elements);
    probes.push_back({CeilingKind::fma, multiply_adds(elements, dtype, chains, length), flops});
  }
  return probes;
}

std::vector<Probe> launch_probes() {
  constexpr int64_t kFew = 16;
  return {{CeilingKind::launch, pointwise(kFew, DType::f32, 1, {})},
          {CeilingKind::launch, pointwise(kFew, DType::f32, 0, {constant(1)})},
          {CeilingKind::launch, kernel_of(graph::op::reduce_sum, {kFirstAxis}, {kFew})},
          {CeilingKind::launch, matmul_case(1, 1, kFew).kernel_op()}};
}

Probe square_product(int64_t side, DType dtype) {
  Case c = matmul_case(side, side, side);
  for (Operand& operand : c.operands) operand.type.dtype = dtype;
  return {CeilingKind::matrix, c.kernel_op(), c.cost().flops};
}

Values some_values(const host::KernelOp& op) {
  constexpr int64_t kBlock = 16 << 10;
  Values values;
  for (const bp_tensor_desc& desc : op.inputs) {
    const auto dtype = static_cast<DType>(desc.dtype);
    const host::KernelOp block = pointwise(std::min(kBlock, bp_sdk_numel(&desc)), dtype, 1, {});
    const std::vector<std::byte> pattern = suitable_values(block)[0];
    std::vector<std::byte>& all = values.emplace_back(static_cast<size_t>(bp_sdk_numel(&desc) * size_of(dtype)));
    for (size_t at = 0; at < all.size(); at += pattern.size())
      std::memcpy(&all[at], pattern.data(), std::min(pattern.size(), all.size() - at));
  }
  return values;
}

}  // namespace backplane::bench
