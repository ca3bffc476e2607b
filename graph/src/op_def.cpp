// SPDX-License-Identifier: Apache-2.0
// What is common to all ops: type inference with shared checks, cost, signatures, look-up by name.
#include "backplane/graph/op_def.h"

#include <unordered_map>

#include "ops/axis_error.h"

namespace backplane::graph {

namespace {

template <class T>
void append(std::string& text, const T& value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_desc(std::string& text, const bp_tensor_desc& desc) {
  append(text, static_cast<uint8_t>(desc.dtype));
  append(text, static_cast<uint8_t>(desc.rank));
  text.append(reinterpret_cast<const char*>(desc.shape), desc.rank * sizeof(int64_t));
  text.append(reinterpret_cast<const char*>(desc.strides), desc.rank * sizeof(int64_t));
}

}  // namespace

std::string KernelOp::signature() const {
  std::string text;
  text.reserve(64 + 96 * (inputs.size() + outputs.size()) + attrs.size() + instrs.size() * sizeof(bp_instr));
  append(text, code);
  append(text, static_cast<uint8_t>(math_mode));
  append(text, static_cast<uint8_t>(deterministic));
  append(text, max_workspace);
  append(text, static_cast<uint16_t>(inputs.size()));
  for (const bp_tensor_desc& desc : inputs) append_desc(text, desc);
  append(text, static_cast<uint16_t>(outputs.size()));
  for (const bp_tensor_desc& desc : outputs) append_desc(text, desc);
  append(text, static_cast<uint16_t>(attrs.size()));
  text.append(reinterpret_cast<const char*>(attrs.data()), attrs.size());
  append(text, static_cast<uint16_t>(program_inputs));
  text.append(reinterpret_cast<const char*>(instrs.data()), instrs.size() * sizeof(bp_instr));
  text.append(reinterpret_cast<const char*>(program_outputs.data()), program_outputs.size() * sizeof(uint16_t));
  if (code == BP_OP_CUSTOM) text += name;
  return text;
}

void KernelOp::fill(bp_op& op, bp_program& program) const {
  program.size = sizeof(bp_program);
  program.num_inputs = program_inputs;
  program.num_instrs = static_cast<uint32_t>(instrs.size());
  program.num_outputs = static_cast<uint32_t>(program_outputs.size());
  program.instrs = instrs.data();
  program.outputs = program_outputs.data();
  op.size = sizeof(bp_op);
  op.code = code;
  op.name = name;
  op.inputs = inputs.data();
  op.outputs = outputs.data();
  op.num_inputs = static_cast<uint32_t>(inputs.size());
  op.num_outputs = static_cast<uint32_t>(outputs.size());
  op.attrs = attrs.empty() ? nullptr : attrs.data();
  op.program = program_outputs.empty() ? nullptr : &program;
  op.math_mode = math_mode;
  op.deterministic = deterministic;
  op.max_workspace = max_workspace;
}

const OpDef* find_op(std::string_view name) {
  static const auto* const index = [] {
    auto* map = new std::unordered_map<std::string_view, const OpDef*>();
    for (const OpDef* op : all_ops()) map->emplace(op->name, op);
    return map;
  }();
  const auto found = index->find(name);
  return found != index->end() ? found->second : nullptr;
}

Cost cost_of(const OpDef& op, const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
  if (op.cost != nullptr) return op.cost(attrs, in, out);
  Cost cost;
  if (op.tier == Tier::view || op.tier == Tier::source) return cost;
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  for (const Type& type : out) {
    cost.bytes += static_cast<double>(type.bytes());
    cost.flops += static_cast<double>(type.elements());
  }
  return cost;
}

std::vector<Type> infer_types(const OpDef& op, const Attrs& attrs, std::span<const Type> in, SourceLoc loc) {
  const InferArgs args{op.name, attrs, in, loc};
  const int given = static_cast<int>(in.size());
  if (given < op.min_inputs || (op.max_inputs >= 0 && given > op.max_inputs)) {
    args.fail("takes " + std::to_string(op.min_inputs) +
              (op.max_inputs == op.min_inputs ? "" : op.max_inputs < 0 ? " or more" : " to " + std::to_string(op.max_inputs)) +
              " operands, not " + std::to_string(given));
  }
  std::vector<Type> out;
  try {
    out = op.infer(args);
  } catch (const AxisError& error) {
    args.fail(error.problem(), error.remedy());
  }
  for (const Type& type : out) {
    for (int axis = 1; axis < type.shape.rank(); ++axis) {
      if (type.shape[axis] == dyn) {
        args.fail("an unknown extent would end up on axis " + std::to_string(axis) + " of the result " + type.to_string(),
                  "only the leading dimension may be unknown; give the others");
      }
    }
  }
  return out;
}

}  // namespace backplane::graph
