// SPDX-License-Identifier: Apache-2.0
// A set of operands seen as rows along one axis: where row r of operand i begins, and gathering bundles of rows.
#pragma once

#include <algorithm>
#include <vector>

#include "op.h"
#include "threads.h"

namespace backplane::cpu {

/// f32 operands of one shape.
class Rows {
 public:
  Rows(const bp_tensor_desc& shape, uint32_t axis) : length(shape.shape[axis]) {
    for (uint32_t i = 0; i < shape.rank; ++i) {
      if (i != axis) outer_.push_back(static_cast<int>(i));
    }
    axis_ = axis;
    for (int i : outer_) count *= shape.shape[i];
    shape_ = shape;
  }
  void add(const bp_tensor_desc& desc) { operands_.push_back(desc); }

  int64_t length;
  int64_t count = 1;

  bool dense(size_t operand) const { return stride(operand) == 1 || length == 1; }
  bool all_dense() const {
    for (size_t i = 0; i < operands_.size(); ++i) {
      if (!dense(i)) return false;
    }
    return true;
  }
  int64_t stride(size_t operand) const { return operands_[operand].strides[axis_]; }
  /// offsets[r] = where row `first` + r begins, in elements.
  void offsets(size_t operand, int64_t first, int64_t rows, int64_t* offsets) const {
    const int64_t* strides = operands_[operand].strides;
    int64_t digit[BP_MAX_RANK] = {}, at = 0;
    for (size_t k = outer_.size(); k-- > 0 && first != 0;) {
      digit[k] = first % shape_.shape[outer_[k]];
      first /= shape_.shape[outer_[k]];
      at += digit[k] * strides[outer_[k]];
    }
    for (int64_t r = 0; r < rows; ++r) {
      offsets[r] = at;
      for (size_t k = outer_.size(); k-- > 0;) {
        const int axis = outer_[k];
        at += strides[axis];
        if (++digit[k] < shape_.shape[axis]) break;
        at -= strides[axis] * shape_.shape[axis];
        digit[k] = 0;
      }
    }
  }
  static constexpr int64_t kMostRows = 64;
  /// Rows to gather at a time: a cache line's worth where that fits the second-level cache.
  int64_t bundle_rows() const {
    return all_dense() ? std::clamp<int64_t>(4096 / std::max<int64_t>(1, length), 1, kMostRows)
                       : std::clamp<int64_t>(128 * 1024 / 4 / std::max<int64_t>(1, length), 1, 32);
  }
  int64_t workers(int64_t bytes_per_element) const {
    const int64_t bundles = (count + bundle_rows() - 1) / bundle_rows();
    if (count * length * bytes_per_element < kParallelBytes) return 1;
    return std::max<int64_t>(1, std::min<int64_t>(bundles, thread_count()));
  }
  void gather(size_t operand, const float* base, int64_t first, int64_t rows, float* block) const {
    const int64_t step = stride(operand);
    int64_t at[kMostRows];
    offsets(operand, first, rows, at);
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t r = 0; r < rows; ++r) block[r * length + i] = base[at[r] + i * step];
    }
  }
  void scatter(size_t operand, float* base, int64_t first, int64_t rows, const float* block) const {
    const int64_t step = stride(operand);
    int64_t at[kMostRows];
    offsets(operand, first, rows, at);
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t r = 0; r < rows; ++r) base[at[r] + i * step] = block[r * length + i];
    }
  }

 private:
  bp_tensor_desc shape_;
  std::vector<bp_tensor_desc> operands_;
  std::vector<int> outer_;
  uint32_t axis_;
};

}  // namespace backplane::cpu
