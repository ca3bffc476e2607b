// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/kernel_op.h"

#include <cstring>

namespace backplane::host {
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

KernelOp KernelOp::of(const bp_op& op) {
  KernelOp copy;
  copy.code = op.code;
  copy.name = op.name != nullptr ? op.name : "";
  copy.inputs.assign(op.inputs, op.inputs + op.num_inputs);
  copy.outputs.assign(op.outputs, op.outputs + op.num_outputs);
  if (op.attrs != nullptr) {
    uint32_t bytes = 0;  // every attribute struct begins with its own size
    std::memcpy(&bytes, op.attrs, sizeof bytes);
    const auto* first = static_cast<const std::byte*>(op.attrs);
    copy.attrs.assign(first, first + bytes);
  }
  if (op.program != nullptr) {
    copy.program_inputs = op.program->num_inputs;
    copy.instrs.assign(op.program->instrs, op.program->instrs + op.program->num_instrs);
    copy.program_outputs.assign(op.program->outputs, op.program->outputs + op.program->num_outputs);
  }
  copy.math_mode = op.math_mode;
  copy.deterministic = op.deterministic;
  copy.max_workspace = op.max_workspace;
  return copy;
}

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

}  // namespace backplane::host
