// SPDX-License-Identifier: Apache-2.0
// Is this op well formed? One place for the rules of plugin.h and OPERATIONS.md, so that kernels need no checks.
//
// Each function returns an empty text when all is well, else what is wrong: "[matmul] a has rank 3, b rank 2".
// Stages of validate_op: counts, descriptors, attributes present, program, then the operation's own shape rule.
// What a device can do is another question (query).
#pragma once

#include <string>

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"

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

inline std::string validate_desc(const bp_tensor_desc& desc, bool is_output) {
  if (dtype_size(desc.dtype) == 0) return "dtype " + std::to_string(desc.dtype) + " is unknown";
  if (desc.rank > BP_MAX_RANK) return "rank " + std::to_string(desc.rank) + " is above 8";
  bool empty = false;
  for (uint32_t i = 0; i < desc.rank; ++i) empty = empty || desc.shape[i] == 0;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] < 0) return "extent " + std::to_string(desc.shape[i]) + " is negative";
    if (is_output && !empty && desc.strides[i] == 0 && desc.shape[i] > 1) return "an output has stride 0";
  }
  return {};
}

inline std::string validate_op(const bp_op& op) {
  const OpFacts* facts = op_facts(op.code);
  if (facts == nullptr) {
    return op.code == BP_OP_CUSTOM ? std::string() : "operation code " + std::to_string(op.code) + " is unknown";
  }
  const std::string tag = std::string("[") + facts->name + "] ";
  const bool pointwise = op.code == BP_OP_POINTWISE;
  if (pointwise && op.program == nullptr) return tag + "needs a program";
  if (op.program != nullptr && !pointwise && !facts->epilogue) return tag + "takes no program";
  const uint32_t extra = op.program != nullptr && !pointwise && op.program->num_inputs > 0 ? op.program->num_inputs - 1 : 0;
  if (op.num_inputs < facts->min_inputs + extra || op.num_inputs > facts->max_inputs + extra) {
    return tag + std::to_string(op.num_inputs) + " inputs given";
  }
  if (op.num_outputs < facts->min_outputs || op.num_outputs > facts->max_outputs) {
    return tag + std::to_string(op.num_outputs) + " outputs given";
  }
  if ((op.num_inputs != 0 && op.inputs == nullptr) || op.outputs == nullptr) return tag + "descriptors are missing";
  for (uint32_t i = 0; i < op.num_inputs + op.num_outputs; ++i) {
    const bool is_output = i >= op.num_inputs;
    const std::string wrong = validate_desc(is_output ? op.outputs[i - op.num_inputs] : op.inputs[i], is_output);
    if (!wrong.empty()) return tag + wrong;
  }
  if (facts->attrs != AttrKind::none && op.attrs == nullptr) return tag + "attributes are missing";
  return {};
}

}  // namespace backplane::sdk
