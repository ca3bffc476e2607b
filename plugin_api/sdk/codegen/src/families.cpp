// SPDX-License-Identifier: Apache-2.0
// The list of families and what holds for all of them: dtypes, sizes, number of operands, the limits of an operation.
#include "family.h"

#include <algorithm>

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"
#include "program_text.h"

namespace backplane::codegen {

// Each family's file defines its rows.
extern const Family kPointwiseFamily;
extern const Family kReduceFamily;
extern const Family kMatmulFamily;
extern const Family kGatherFamily;
extern const Family kScatterAddFamily;
extern const Family kConvolutionFamily;
extern const Family kConvolutionGradDataFamily;
extern const Family kConvolutionGradFilterFamily;
extern const Family kPoolFamily;
extern const Family kPoolGradFamily;
extern const Family kSoftmaxFamily;
extern const Family kSoftmaxGradFamily;
extern const Family kLogSoftmaxFamily;
extern const Family kLogSoftmaxGradFamily;
extern const Family kNormalizeFamily;
extern const Family kNormalizeGradFamily;
extern const Family kAttentionFamily;
extern const Family kAttentionGradFamily;
extern const Family kRandomFamily;
extern const Family kSortFamily;
extern const Family kTopKFamily;

namespace {

const Family* const kFamilies[] = {
    &kPointwiseFamily, &kReduceFamily, &kMatmulFamily, &kGatherFamily, &kScatterAddFamily, &kConvolutionFamily,
    &kConvolutionGradDataFamily, &kConvolutionGradFilterFamily, &kPoolFamily, &kPoolGradFamily, &kSoftmaxFamily,
    &kSoftmaxGradFamily, &kLogSoftmaxFamily, &kLogSoftmaxGradFamily, &kNormalizeFamily, &kNormalizeGradFamily,
    &kAttentionFamily, &kAttentionGradFamily, &kRandomFamily, &kSortFamily, &kTopKFamily,
};

bool has_dtype(uint32_t dtype, const DeviceFacts& facts) {
  switch (dtype) {
    case BP_F64: return facts.f64;
    case BP_F16: return facts.f16_storage;
    case BP_BF16: return facts.bf16_storage;
    case BP_I64: return facts.i64;
    case BP_F8_E4M3:
    case BP_F8_E5M2:
    case BP_BOOL: return facts.bool_storage;
    default: return true;
  }
}

/// Elements from the lowest to the highest that a view touches.
int64_t span(const bp_tensor_desc& desc) {
  int64_t elements = 1;
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (desc.shape[axis] == 0) return 0;
    elements += (desc.shape[axis] - 1) * std::abs(desc.strides[axis]);
  }
  return elements;
}

int64_t count(const bp_tensor_desc& desc) {
  int64_t elements = 1;
  for (uint32_t axis = 0; axis < desc.rank; ++axis) elements *= desc.shape[axis];
  return elements;
}

std::string refuse_operand(const bp_tensor_desc& desc, const DeviceFacts& facts) {
  if (!has_dtype(desc.dtype, facts)) return std::string(sdk::dtype_name(desc.dtype)) + " is not supported by this device";
  const int64_t elements = std::max(span(desc), count(desc));
  if (elements > INT32_MAX) return "an operand spans " + std::to_string(elements) + " elements; kernels count to 2^31";
  const uint64_t bytes = static_cast<uint64_t>(span(desc)) * sdk::dtype_size(desc.dtype);
  if (bytes > facts.max_binding_bytes) {
    return "an operand spans " + std::to_string(bytes) + " bytes; this device binds at most " +
           std::to_string(facts.max_binding_bytes);
  }
  return {};
}

/// The values of a program, an epilogue's or POINTWISE's own.
std::string refuse_values(const bp_op& op, const DeviceFacts& facts) {
  const bool epilogue = op.code != BP_OP_POINTWISE;
  std::vector<uint32_t> dtypes;
  if (epilogue) dtypes.push_back(op.inputs[0].dtype == BP_F64 ? uint32_t{BP_F64} : uint32_t{BP_F32});
  for (uint32_t i = epilogue ? sdk::own_inputs(op) : 0; i < op.num_inputs; ++i) dtypes.push_back(op.inputs[i].dtype);
  return refuse_program(*op.program, dtypes.data(), facts);
}

}  // namespace

const Family* find_family(uint32_t code) {
  for (const Family* family : kFamilies) {
    if (family->code == code) return family;
  }
  return nullptr;
}

namespace {

bool is_empty(const bp_op& op) {
  return std::all_of(op.outputs, op.outputs + op.num_outputs, [](const bp_tensor_desc& d) { return count(d) == 0; });
}

bool loops_too_long(const Variant& variant, const DeviceFacts& facts) { return variant.steps > facts.max_loop_steps; }

/// Some drivers end the loops of a work-item after so many turns without a word, and the result is wrong.
std::string refuse_long_loops(const Family& family, const bp_op& op, const DeviceFacts& facts) {
  Variants all;
  family.list(op, facts, all);
  const bool none = std::all_of(all.begin(), all.end(), [&](const Variant& v) { return loops_too_long(v, facts); });
  if (!none) return {};
  return "loops of more than " + std::to_string(facts.max_loop_steps) + " turns, which this driver does not finish";
}

}  // namespace

std::string refuse(const bp_op& op, const DeviceFacts& facts) {
  const Family* family = find_family(op.code);
  if (family == nullptr) return "not offered; it decomposes";
  if (op.num_inputs + op.num_outputs > facts.max_buffers) {
    return std::to_string(op.num_inputs + op.num_outputs) + " operands; this device binds at most " +
           std::to_string(facts.max_buffers) + " buffers";
  }
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    if (std::string reason = refuse_operand(op.inputs[i], facts); !reason.empty()) return reason;
  }
  for (uint32_t i = 0; i < op.num_outputs; ++i) {
    if (std::string reason = refuse_operand(op.outputs[i], facts); !reason.empty()) return reason;
  }
  if (op.program != nullptr) {
    if (std::string reason = refuse_values(op, facts); !reason.empty()) return reason;
  }
  std::string reason = family->refuse != nullptr ? family->refuse(op, facts) : std::string();
  if (reason.empty() && facts.max_loop_steps != UINT32_MAX && !is_empty(op)) reason = refuse_long_loops(*family, op, facts);
  return reason;
}

std::vector<Variant> list_variants(const bp_op& op, const DeviceFacts& facts) {
  std::vector<Variant> list;
  if (is_empty(op)) {
    list.push_back({.name = "nothing", .build = [] { return Recipe{}; }});
    return list;
  }
  find_family(op.code)->list(op, facts, list);
  std::erase_if(list, [&](const Variant& v) {
    return v.workspace > op.max_workspace || loops_too_long(v, facts) || (op.deterministic != 0 && v.determinism < BP_DETERMINISM_RUN);
  });
  return list;
}

}  // namespace backplane::codegen
