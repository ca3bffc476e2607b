// SPDX-License-Identifier: Apache-2.0
#include "passes/program.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "passes/passes.h"
#include "passes/splat.h"

namespace backplane::graph {

namespace passes {

namespace {

/// Where an operand's value comes from while the number of inputs is not known yet.
struct Ref {
  bool input = false;
  uint16_t index = 0;  ///< of the input, or of the instruction
};

class Writer {
 public:
  explicit Writer(const Graph& graph) : graph_(graph) {}

  void add(NodeId id) {
    const Node& node = graph_.node(id);
    const std::span<const Value> in = graph_.inputs_of(id);
    std::array<Ref, 3> refs;
    for (size_t i = 0; i < in.size(); ++i) refs[i] = operand(in[i]);
    if (node.op->tier != Tier::scalar) {  // copy: another name for its operand
      defined_[id] = refs[0];
      return;
    }
    bp_instr instr{};
    instr.code = node.op->scalar_code;
    instr.dtype = static_cast<uint16_t>(graph_.type({id, 0}).dtype);
    push(instr, refs);
    defined_[id] = last();
  }

  FusedGroup finish(std::span<const NodeId> members, const std::vector<bool>& used_outside) {
    FusedGroup group;
    group.inputs = std::move(inputs_);
    const auto num_inputs = static_cast<uint16_t>(group.inputs.size());
    const auto number = [&](Ref ref) { return static_cast<uint16_t>(ref.input ? ref.index : num_inputs + ref.index); };
    ScalarProgram& program = group.program;
    program.num_inputs = num_inputs;
    for (size_t i = 0; i < instrs_.size(); ++i) {
      bp_instr instr = instrs_[i];
      if (instr.code != BP_S_CONST) instr.a = number(refs_[i][0]);
      if (instr.code >= BP_S_ADD) instr.b = number(refs_[i][1]);
      if (instr.code >= BP_S_SELECT) instr.c = number(refs_[i][2]);
      program.instrs.push_back(instr);
    }
    for (size_t i = 0; i < members.size(); ++i) {
      if (!used_outside[i]) continue;
      const uint16_t value = number(defined_.at(members[i]));
      const auto found = std::find(program.outputs.begin(), program.outputs.end(), value);
      group.outputs.push_back(members[i]);
      group.output_index.push_back(static_cast<uint32_t>(found - program.outputs.begin()));
      if (found != program.outputs.end()) continue;
      program.outputs.push_back(value);
      program.output_dtypes.push_back(graph_.type({members[i], 0}).dtype);
    }
    return group;
  }

 private:
  Ref last() const { return {false, static_cast<uint16_t>(instrs_.size() - 1)}; }

  void push(const bp_instr& instr, const std::array<Ref, 3>& refs) {
    instrs_.push_back(instr);
    refs_.push_back(refs);
  }

  Ref operand(Value v) {
    if (const auto found = defined_.find(v.node); found != defined_.end()) return found->second;
    if (const std::optional<Splat> splat = splat_of(graph_, v)) return constant(splat->instr());
    const auto found = std::find(inputs_.begin(), inputs_.end(), v);
    const auto index = static_cast<uint16_t>(found - inputs_.begin());
    if (found == inputs_.end()) inputs_.push_back(v);
    return {true, index};
  }

  Ref constant(const bp_instr& instr) {
    for (size_t i = 0; i < instrs_.size(); ++i) {
      if (std::memcmp(&instrs_[i], &instr, sizeof instr) == 0) return {false, static_cast<uint16_t>(i)};
    }
    push(instr, {});
    return last();
  }

  const Graph& graph_;
  std::vector<Value> inputs_;
  std::vector<bp_instr> instrs_;
  std::vector<std::array<Ref, 3>> refs_;
  std::unordered_map<NodeId, Ref> defined_;
};

/// `type` broadcast to `shape`: stride 0 where it has extent 1 or no axis.
bp_tensor_desc broadcast_desc(const Type& type, const Shape& shape) {
  const auto dense = dense_strides(type.shape);
  Layout layout;
  const int shift = shape.rank() - type.shape.rank();
  for (int axis = 0; axis < type.shape.rank(); ++axis) {
    const bool repeated = type.shape[axis] != shape[axis + shift];
    layout.strides[static_cast<size_t>(axis + shift)] = repeated ? 0 : dense[static_cast<size_t>(axis)];
  }
  return to_desc({type.dtype, shape}, layout);
}

}  // namespace

bool is_scalar_step(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool copies = node.op->tier == Tier::assemble && node.op->fusion == Fusion::elementwise;
  return (node.op->tier == Tier::scalar || copies) && !graph.type({id, 0}).shape.is_dynamic();
}

FusedGroup fuse(const Graph& graph, std::span<const NodeId> members, const std::vector<bool>& used_outside) {
  Writer writer(graph);
  for (NodeId id : members) writer.add(id);
  return writer.finish(members, used_outside);
}

KernelOp kernel_of(const Graph& graph, const FusedGroup& group) {
  const Shape& shape = graph.type({group.outputs.front(), 0}).shape;
  KernelOp kernel;
  kernel.code = BP_OP_POINTWISE;
  kernel.name = "pointwise";
  for (Value v : group.inputs) kernel.inputs.push_back(broadcast_desc(graph.type(v), shape));
  for (DType dtype : group.program.output_dtypes) kernel.outputs.push_back(broadcast_desc({dtype, shape}, shape));
  kernel.instrs = group.program.instrs;
  kernel.program_outputs = group.program.outputs;
  kernel.program_inputs = group.program.num_inputs;
  return kernel;
}

}  // namespace passes

ScalarProgram program_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!passes::is_scalar_step(graph, id)) {
    fail_internal("program_of: %" + std::to_string(id) + " (" + std::string(node.op->name) + ") is no scalar op");
  }
  ScalarProgram program;
  program.num_inputs = node.num_in;
  program.output_dtypes = {graph.type({id, 0}).dtype};
  program.outputs = {0};
  if (node.op->tier != Tier::scalar) return program;
  bp_instr instr{};
  instr.code = node.op->scalar_code;
  instr.dtype = static_cast<uint16_t>(program.output_dtypes[0]);
  instr.b = node.num_in > 1 ? 1 : 0;
  instr.c = node.num_in > 2 ? 2 : 0;
  program.instrs = {instr};
  program.outputs = {static_cast<uint16_t>(node.num_in)};
  return program;
}

}  // namespace backplane::graph
