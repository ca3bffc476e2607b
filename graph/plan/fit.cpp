// SPDX-License-Identifier: Apache-2.0
#include "plan/fit.h"

namespace backplane::graph {

namespace {

void make_dense(bp_tensor_desc& desc) {
  int64_t step = 1;
  for (uint32_t axis = desc.rank; axis-- > 0;) {
    desc.strides[axis] = step;
    step *= desc.shape[axis] > 1 ? desc.shape[axis] : 1;
  }
}

bool is_dense(const bp_tensor_desc& desc) {
  int64_t step = 1;
  for (uint32_t axis = desc.rank; axis-- > 0;) {
    if (desc.shape[axis] > 1 && desc.strides[axis] != step) return false;
    step *= desc.shape[axis] > 1 ? desc.shape[axis] : 1;
  }
  return true;
}

uint32_t strided_inputs(const KernelOp& op) {
  uint32_t mask = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    if (!is_dense(op.inputs[i])) mask |= 1u << i;
  }
  return mask;
}

void densify(KernelOp& op, uint32_t mask) {
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    if ((mask >> i & 1u) != 0) make_dense(op.inputs[i]);
  }
}

}  // namespace

Fit fit(Stream& stream, KernelOp& op) {
  const host::Support first = stream.support(op);
  if (first.verdict == BP_SUPPORT_YES) return {true, 0, 0, {}};
  const uint32_t strided = strided_inputs(op);
  const uint32_t wanted = first.verdict == BP_SUPPORT_IF_CHANGED ? first.want_dense & strided : 0;
  const uint32_t dtype = first.verdict == BP_SUPPORT_IF_CHANGED ? first.want_dtype : 0;
  for (const uint32_t mask : {wanted, strided}) {
    if (mask == 0 && dtype == 0) continue;
    KernelOp changed = op;
    densify(changed, mask);
    if (dtype != 0) {
      for (auto* list : {&changed.inputs, &changed.outputs}) {
        for (bp_tensor_desc& desc : *list) {
          if (is_real(static_cast<DType>(desc.dtype))) desc.dtype = dtype;
        }
      }
    }
    if (stream.support(changed).verdict != BP_SUPPORT_YES) continue;
    if (dtype == 0) op = std::move(changed);
    return {true, mask, dtype, first.reason};
  }
  return {false, 0, 0, first.reason.empty() ? "not supported" : first.reason};
}

Layout broadcast_layout(const Shape& from, const Layout& layout, const Shape& to) {
  Layout result;
  result.offset = layout.offset;
  const int extra = to.rank() - from.rank();
  for (int axis = 0; axis < to.rank(); ++axis) {
    const bool repeats = axis < extra || (from[axis - extra] == 1 && to[axis] != 1);
    result.strides[static_cast<size_t>(axis)] = repeats ? 0 : layout.strides[static_cast<size_t>(axis - extra)];
  }
  return result;
}

void set_program(KernelOp& op, const ScalarProgram& program) {
  op.instrs = program.instrs;
  op.program_outputs = program.outputs;
  op.program_inputs = program.num_inputs;
}

KernelOp pointwise_op(const ScalarProgram& program, std::span<const bp_tensor_desc> inputs,
                      std::span<const bp_tensor_desc> outputs) {
  KernelOp op;
  op.code = BP_OP_POINTWISE;
  op.name = "pointwise";
  op.inputs.assign(inputs.begin(), inputs.end());
  op.outputs.assign(outputs.begin(), outputs.end());
  set_program(op, program);
  return op;
}

ScalarProgram identity_program(DType dtype) { return {1, {}, {0}, {dtype}}; }

ScalarProgram constant_program(DType dtype, double value) {
  bp_instr instr{};
  instr.code = BP_S_CONST;
  instr.dtype = static_cast<uint16_t>(dtype);
  if (is_real(dtype)) {
    instr.imm.f = value;
  } else {
    instr.imm.i = static_cast<int64_t>(value);
  }
  return {0, {instr}, {0}, {dtype}};
}

uint32_t own_inputs(const Node& node) {
  const bool epilogue = node.program != nullptr && node.op->native.code != BP_OP_POINTWISE;
  return epilogue ? node.num_in - (node.program->num_inputs - 1) : node.num_in;
}

KernelOp native_op(const Graph& graph, NodeId id, std::span<const Layout> input_layouts) {
  const Node& node = graph.node(id);
  std::vector<Type> in = graph.input_types(id);
  in.resize(own_inputs(node));
  const std::span<const Type> out = graph.types_of(id);
  KernelOp op;
  op.code = node.op->native.code;
  op.name = node.op->name.data();
  if (node.op->native.encode != nullptr) node.op->native.encode(node.attrs, in, out, op);
  for (size_t i = 0; i < in.size(); ++i) op.inputs.push_back(to_desc(in[i], input_layouts[i]));
  for (const Type& type : out) op.outputs.push_back(to_desc(type, dense_layout(type.shape)));
  return op;
}

Layout Layouts::of(Value v) {
  while (known_.size() <= v.node) {
    const auto id = static_cast<NodeId>(known_.size());
    const Node& node = graph_.node(id);
    Layout layout = dense_layout(graph_.types_of(id)[0].shape);
    if (node.op->tier == Tier::view) {
      const Value in = node.in[0];
      if (auto view = node.op->view(node.attrs, graph_.type(in), of(in), graph_.types_of(id)[0])) layout = *view;
    } else if (next_input_ < graph_.inputs().size() && graph_.inputs()[next_input_].node == id) {
      if (next_input_ < inputs_.size()) layout = inputs_[next_input_];
      ++next_input_;
    }
    known_.push_back(layout);
  }
  return v.out == 0 ? known_[v.node] : dense_layout(graph_.type(v).shape);
}

}  // namespace backplane::graph
