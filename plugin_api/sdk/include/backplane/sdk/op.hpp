// SPDX-License-Identifier: Apache-2.0
// A bp_op as a plugin wants to see it: structs completed to this header's size, attributes typed, nothing unknown.
//
// OpReader copies the op, its program header and its attributes by the growth rules; the arrays they point to stay the
// caller's. It does not judge shapes: see validate.hpp.
#pragma once

#include <cstdint>

#include "backplane/sdk/negotiate.hpp"

namespace backplane::sdk {

/// The attribute structs, tried in this order by code.
enum class AttrKind { none, reduce, convolution, pool, axis, normalize, attention, random, sort, custom };

struct OpFacts {
  uint32_t code;
  const char* name;
  AttrKind attrs;
  uint32_t min_inputs, max_inputs;    // the operation's own, without an epilogue's extra ones
  uint32_t min_outputs, max_outputs;
  bool epilogue;                      // takes an optional program
};

inline constexpr OpFacts kOpFacts[] = {
    {BP_OP_POINTWISE, "pointwise", AttrKind::none, 0, BP_PROGRAM_MAX_INPUTS, 1, BP_PROGRAM_MAX_OUTPUTS, false},
    {BP_OP_REDUCE, "reduce", AttrKind::reduce, 1, 1, 1, 1, true},
    {BP_OP_MATMUL, "matmul", AttrKind::none, 2, 2, 1, 1, true},
    {BP_OP_GATHER, "gather", AttrKind::none, 2, 2, 1, 1, false},
    {BP_OP_SCATTER_ADD, "scatter_add", AttrKind::none, 3, 3, 1, 1, false},
    {BP_OP_CONVOLUTION, "convolution", AttrKind::convolution, 2, 2, 1, 1, true},
    {BP_OP_CONVOLUTION_GRAD_DATA, "convolution_grad_data", AttrKind::convolution, 2, 2, 1, 1, true},
    {BP_OP_CONVOLUTION_GRAD_FILTER, "convolution_grad_filter", AttrKind::convolution, 2, 2, 1, 1, true},
    {BP_OP_POOL, "pool", AttrKind::pool, 1, 1, 1, 1, false},
    {BP_OP_POOL_GRAD, "pool_grad", AttrKind::pool, 3, 3, 1, 1, false},
    {BP_OP_SOFTMAX, "softmax", AttrKind::axis, 1, 1, 1, 1, false},
    {BP_OP_SOFTMAX_GRAD, "softmax_grad", AttrKind::axis, 2, 2, 1, 1, false},
    {BP_OP_LOG_SOFTMAX, "log_softmax", AttrKind::axis, 1, 1, 1, 1, false},
    {BP_OP_LOG_SOFTMAX_GRAD, "log_softmax_grad", AttrKind::axis, 2, 2, 1, 1, false},
    {BP_OP_NORMALIZE, "normalize", AttrKind::normalize, 3, 3, 1, 3, false},
    {BP_OP_NORMALIZE_GRAD, "normalize_grad", AttrKind::normalize, 5, 5, 3, 3, false},
    {BP_OP_ATTENTION, "attention", AttrKind::attention, 3, 4, 1, 2, false},
    {BP_OP_ATTENTION_GRAD, "attention_grad", AttrKind::attention, 6, 7, 3, 3, false},
    {BP_OP_RANDOM, "random", AttrKind::random, 1, 1, 1, 1, false},
    {BP_OP_SORT, "sort", AttrKind::sort, 1, 1, 2, 2, false},
    {BP_OP_TOP_K, "top_k", AttrKind::sort, 1, 1, 2, 2, false},
};

/// NULL for BP_OP_CUSTOM and codes that this header does not know.
inline const OpFacts* op_facts(uint32_t code) noexcept {
  for (const OpFacts& facts : kOpFacts) {
    if (facts.code == code) return &facts;
  }
  return nullptr;
}

inline const char* op_name(const bp_op& op) noexcept {
  const OpFacts* facts = op_facts(op.code);
  return facts != nullptr ? facts->name : (op.name != nullptr ? op.name : "custom");
}

/// How many of op.inputs are the operation's own; the rest belongs to the epilogue.
inline uint32_t own_inputs(const bp_op& op) noexcept {
  const OpFacts* facts = op_facts(op.code);
  return facts != nullptr && facts->epilogue ? facts->max_inputs : op.num_inputs;
}

/// The attribute struct of an op that went through OpReader or validate_op.
template <class T>
inline const T& attrs(const bp_op& op) noexcept {
  return *static_cast<const T*>(op.attrs);
}

class OpReader {
 public:
  explicit OpReader(const bp_op* source) : op_(read_input(source, "bp_op")) {
    if (op_.program != nullptr) {
      program_ = read_input(op_.program, "bp_program");
      op_.program = &program_;
    }
    const OpFacts* facts = op_facts(op_.code);
    if (facts != nullptr && op_.attrs != nullptr) read_attrs(facts->attrs);
  }
  OpReader(const OpReader&) = delete;
  OpReader& operator=(const OpReader&) = delete;
  const bp_op& op() const noexcept { return op_; }

 private:
  template <class T>
  void read_as(T& target, const char* what) {
    target = read_input(static_cast<const T*>(op_.attrs), what);
    op_.attrs = &target;
  }
  void read_attrs(AttrKind kind) {
    switch (kind) {
      case AttrKind::reduce: return read_as(attrs_.reduce, "bp_reduce_attrs");
      case AttrKind::convolution: return read_as(attrs_.convolution, "bp_convolution_attrs");
      case AttrKind::pool: return read_as(attrs_.pool, "bp_pool_attrs");
      case AttrKind::axis: return read_as(attrs_.axis, "bp_axis_attrs");
      case AttrKind::normalize: return read_as(attrs_.normalize, "bp_normalize_attrs");
      case AttrKind::attention: return read_as(attrs_.attention, "bp_attention_attrs");
      case AttrKind::random: return read_as(attrs_.random, "bp_random_attrs");
      case AttrKind::sort: return read_as(attrs_.sort, "bp_sort_attrs");
      case AttrKind::none:
      case AttrKind::custom: return;
    }
  }

  bp_op op_;
  bp_program program_{};
  union Attrs {
    bp_reduce_attrs reduce;
    bp_convolution_attrs convolution;
    bp_pool_attrs pool;
    bp_axis_attrs axis;
    bp_normalize_attrs normalize;
    bp_attention_attrs attention;
    bp_random_attrs random;
    bp_sort_attrs sort;
  } attrs_{};
};

}  // namespace backplane::sdk
