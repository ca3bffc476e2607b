// SPDX-License-Identifier: Apache-2.0
// An operation as this card keeps it: an owned copy of a bp_op, comparable by its canonical bytes, and small questions
// about descriptors that every implementation asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backplane/plugin.h"
#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"

namespace backplane::cpu {

struct Program {
  uint32_t num_inputs = 0;
  std::vector<bp_instr> instrs;
  std::vector<uint16_t> outputs;
};

union Attrs {
  bp_reduce_attrs reduce;
  bp_convolution_attrs convolution;
  bp_pool_attrs pool;
  bp_axis_attrs axis;
  bp_normalize_attrs normalize;
  bp_attention_attrs attention;
  bp_random_attrs random;
  bp_sort_attrs sort;
};

struct Op {
  uint32_t code = 0;
  std::vector<bp_tensor_desc> in;
  std::vector<bp_tensor_desc> out;
  Attrs attrs{};
  std::optional<Program> program;
  uint32_t math_mode = BP_MATH_STRICT;
  bool deterministic = false;
  uint64_t max_workspace = UINT64_MAX;

  Op() = default;
  explicit Op(const bp_op& source);

  /// Canonical bytes: equal for operations that the same kernel serves.
  std::string key() const;
};

/// Elements of the tensor; 1 for rank 0.
int64_t element_count(const bp_tensor_desc& desc);
/// Row-major without gaps; strides of extents below 2 do not matter.
bool is_dense(const bp_tensor_desc& desc);
/// A dense descriptor.
bp_tensor_desc dense_desc(uint32_t dtype, const std::vector<int64_t>& shape);
/// The same shape, dense, in another dtype.
bp_tensor_desc dense_like(const bp_tensor_desc& desc, uint32_t dtype);
bool same_shape(const bp_tensor_desc& a, const bp_tensor_desc& b);
inline uint64_t bytes_of(const bp_tensor_desc& desc) {
  return static_cast<uint64_t>(element_count(desc)) * sdk::dtype_size(desc.dtype);
}
inline uint64_t round_up(uint64_t bytes, uint64_t alignment = 64) {
  return (bytes + alignment - 1) / alignment * alignment;
}
inline bool is_half(uint32_t dtype) { return dtype == BP_F16 || dtype == BP_BF16; }
/// Computed in f32, stored in fewer bits.
inline bool is_narrow(uint32_t dtype) { return is_half(dtype) || sdk::is_f8(dtype); }

}  // namespace backplane::cpu
