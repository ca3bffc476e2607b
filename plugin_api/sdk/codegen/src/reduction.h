// SPDX-License-Identifier: Apache-2.0
// What a REDUCE is about, whatever the way to do it: two walks, the accumulator, its operations, its workspace.
#pragma once

#include "backplane/sdk/op.hpp"
#include "source.h"
#include "walk.h"

namespace backplane::codegen {

/// x's axes sorted into kept ones (a position is a result) and reduced ones, whose row-major order ARGMAX counts in.
struct Reduction {
  explicit Reduction(const bp_op& op);
  int64_t kept_stride() const { return kept.extents.empty() ? 0 : kept.strides[0].back(); }
  int64_t kept_inner() const { return kept.extents.empty() ? 1 : kept.extents.back(); }
  int64_t reduced_stride() const { return reduced.extents.empty() ? 0 : reduced.strides[0].back(); }
  int64_t reduced_inner() const { return reduced.extents.empty() ? 1 : reduced.extents.back(); }
  bool arg() const { return kind == BP_REDUCE_ARGMAX || kind == BP_REDUCE_ARGMIN; }

  const bp_op& op;
  uint32_t kind;
  uint32_t accumulator;  ///< its dtype
  Walk kept, reduced;
};

/// The walk without its innermost axis.
Walk without_inner(Walk walk);

/// ACC, ARG, INIT, COMBINE and BETTER, and the text of reduce_state.kernel that builds on them.
void declare_reduction(Source& source, const Reduction& reduction);

/// Partial results of a reduction in `parts` parts: the workspace they need (0 for one part) and its declaration.
uint64_t parts_bytes(const Reduction& reduction, int64_t parts);
void declare_parts(Source& source, const Reduction& reduction, int64_t parts, bool written);

}  // namespace backplane::codegen
