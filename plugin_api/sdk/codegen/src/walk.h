// SPDX-License-Identifier: Apache-2.0
// A joint walk over one shape by several strided operands: axes that all operands cross in one stride are merged and
// extents of 1 dropped, so that the common case is one axis and no division in the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "source.h"

namespace backplane::codegen {

struct Walk {
  int64_t count = 1;                          ///< positions
  std::vector<int64_t> extents;               ///< outermost first; empty for one position
  std::vector<std::vector<int64_t>> strides;  ///< [operand][axis], in elements
};

/// The operand with one position along `axis`, which is gone: the rows along it.
bp_tensor_desc without_axis(const bp_tensor_desc& desc, uint32_t axis);

/// Walks axes [first, last) of the descriptors, which have the same extents there.
Walk merge_axes(const std::vector<const bp_tensor_desc*>& operands, uint32_t first, uint32_t last);

/// A stride called `name`: 0 and 1 are part of the text, so that they cost nothing, others an argument.
void declare_stride(Source& source, std::string_view name, int64_t stride);

/// Declares a walk's extents and strides as parameters of `source` and defines a statement macro
///
///   NAME(i, x, y, ...)   declares `int x = ..., y = ...`: each operand's element offset at position i (row-major)
///
/// Strides of 0 and 1 are part of the text, so that they cost nothing. Parameters are called after the macro.
void declare_walk(Source& source, std::string_view name, const Walk& walk);

}  // namespace backplane::codegen
