// SPDX-License-Identifier: Apache-2.0
// Is this op well formed? One place for the rules of plugin.h and OPERATIONS.md, so that kernels need no checks.
//
// Stages: counts, descriptors, attributes present, the operation's own rule (shape_rules.hpp), the program. The answer
// is empty when all is well, else what is wrong with the operands behind it: "[matmul] ... (f32[2, 3], ...)".
// What a device can do is another question (query).
#pragma once

#include <string>

#include "backplane/sdk/shape_rules.hpp"

namespace backplane::sdk {

inline std::string describe(const bp_tensor_desc& desc) {
  std::string text = dtype_name(desc.dtype);
  text += '[';
  for (uint32_t i = 0; i < desc.rank && i < BP_MAX_RANK; ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(desc.shape[i]);
  }
  return text + ']';
}

/// "f32[2, 3], f32[3, 4] -> f32[2, 4]"
inline std::string describe_operands(const bp_op& op) {
  std::string text;
  for (uint32_t i = 0; i < op.num_inputs; ++i) text += (i != 0 ? ", " : "") + describe(op.inputs[i]);
  text += " -> ";
  for (uint32_t i = 0; i < op.num_outputs; ++i) text += (i != 0 ? ", " : "") + describe(op.outputs[i]);
  return text;
}

inline const char* validate_desc(const bp_tensor_desc& desc, bool is_output) noexcept {
  if (dtype_size(desc.dtype) == 0) return "an operand has an unknown dtype";
  if (desc.rank > BP_MAX_RANK) return "an operand's rank is above 8";
  bool empty = false;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] < 0) return "an extent is negative";
    empty = empty || desc.shape[i] == 0;
  }
  int64_t count = 1;
  for (uint32_t i = 0; i < desc.rank && !empty; ++i) {
    if (is_output && desc.strides[i] == 0 && desc.shape[i] > 1) return "an output has stride 0";
    if (__builtin_mul_overflow(count, desc.shape[i], &count) || count > INT64_MAX / 16) {
      return "an operand is too large";
    }
  }
  return nullptr;
}

/// 8-bit floats are for storage: what else takes them but POINTWISE, whose program says so itself, GATHER and MATMUL?
inline const char* validate_f8(const bp_op& op) noexcept {
  if (op.code == BP_OP_POINTWISE || op.code == BP_OP_GATHER) return nullptr;
  bool found = false;
  for (uint32_t i = op.code == BP_OP_MATMUL ? 2 : 0; i < op.num_inputs; ++i) found = found || is_f8(op.inputs[i].dtype);
  for (uint32_t i = 0; i < op.num_outputs; ++i) found = found || is_f8(op.outputs[i].dtype);
  return found ? "8-bit floats are for casts, choices, copies, gather and the operands of matmul" : nullptr;
}

/// The epilogue's extra inputs are shaped like output 0, its program sees the result in f32 or f64.
inline std::string validate_epilogue(const bp_op& op) {
  const uint32_t own = own_inputs(op);
  if (!is_float(op.inputs[0].dtype) && !is_f8(op.inputs[0].dtype)) return "an epilogue needs float operands";
  uint32_t dtypes[BP_PROGRAM_MAX_INPUTS] = {rules::accumulator(op.inputs[0].dtype)};
  for (uint32_t i = own; i < op.num_inputs; ++i) {
    if (!rules::same_shape(op.inputs[i], op.outputs[0])) return "an extra input of the epilogue is not like output 0";
    dtypes[i - own + 1] = op.inputs[i].dtype;
  }
  return validate_program(*op.program, dtypes, op.num_inputs - own + 1, &op.outputs[0].dtype, 1);
}

inline std::string validate_pointwise_program(const bp_op& op) {
  uint32_t inputs[BP_PROGRAM_MAX_INPUTS], outputs[BP_PROGRAM_MAX_OUTPUTS];
  for (uint32_t i = 0; i < op.num_inputs; ++i) inputs[i] = op.inputs[i].dtype;
  for (uint32_t i = 0; i < op.num_outputs; ++i) outputs[i] = op.outputs[i].dtype;
  return validate_program(*op.program, inputs, op.num_inputs, outputs, op.num_outputs);
}

/// What makes descriptors and attributes unreadable, before any shape is looked at.
inline const char* validate_form(const bp_op& op, const OpFacts& facts) noexcept {
  const bool pointwise = op.code == BP_OP_POINTWISE;
  if (pointwise && op.program == nullptr) return "the program is missing";
  if (op.program != nullptr && !pointwise && !facts.epilogue) return "this operation takes no program";
  const uint32_t extra = op.program != nullptr && !pointwise ? BP_PROGRAM_MAX_INPUTS - 1 : 0;
  if (op.num_inputs < facts.min_inputs || op.num_inputs > facts.max_inputs + extra) return "wrong number of inputs";
  if (op.num_outputs < facts.min_outputs || op.num_outputs > facts.max_outputs) return "wrong number of outputs";
  if ((op.num_inputs != 0 && op.inputs == nullptr) || op.outputs == nullptr) return "descriptors are missing";
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    if (const char* wrong = validate_desc(op.inputs[i], false)) return wrong;
  }
  for (uint32_t i = 0; i < op.num_outputs; ++i) {
    if (const char* wrong = validate_desc(op.outputs[i], true)) return wrong;
  }
  if (facts.attrs != AttrKind::none && op.attrs == nullptr) return "the attributes are missing";
  if (op.math_mode > BP_MATH_FAST) return "math_mode is unknown";
  return nullptr;
}

inline std::string validate_op(const bp_op& op) {
  const OpFacts* facts = op_facts(op.code);
  if (facts == nullptr) {
    return op.code == BP_OP_CUSTOM ? std::string() : "operation code " + std::to_string(op.code) + " is unknown";
  }
  const std::string tag = std::string("[") + facts->name + "] ";
  if (const char* wrong = validate_form(op, *facts)) return tag + wrong;
  std::string wrong;
  if (const char* storage = validate_f8(op)) wrong = storage;
  else if (const char* rule = rules::check(op)) wrong = rule;
  else if (op.code == BP_OP_POINTWISE) wrong = validate_pointwise_program(op);
  else if (op.program != nullptr) wrong = validate_epilogue(op);
  return wrong.empty() ? wrong : tag + wrong + " (" + describe_operands(op) + ")";
}

}  // namespace backplane::sdk
