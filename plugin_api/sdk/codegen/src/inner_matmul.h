// SPDX-License-Identifier: Apache-2.0
// A MATMUL inside another operation's recipe: its operands lie in the workspace, or are parts of the operation's own.
#pragma once

#include <memory>
#include <vector>

#include "family.h"

namespace backplane::codegen {

/// Where an operand of the inner product is found by the outer operation.
struct Whereabouts {
  Slot::From from = Slot::From::workspace;
  uint32_t index = 0;
  uint64_t offset = 0;  ///< bytes, added to the view's own
};

/// The inner operation with all that it points to; not copied, so that variants may borrow `op`.
struct InnerMatmul {
  InnerMatmul(const bp_op& outer, std::vector<bp_tensor_desc> operands, const bp_tensor_desc& result, bool epilogue);
  InnerMatmul(const InnerMatmul&) = delete;
  InnerMatmul& operator=(const InnerMatmul&) = delete;

  std::vector<bp_tensor_desc> inputs;
  bp_tensor_desc output;
  bp_op op;
};

/// A dense row-major matrix (or batch of them).
bp_tensor_desc dense(uint32_t dtype, std::initializer_list<int64_t> shape);

/// Appends the launches of `inner`, whose slots speak of the inner operation, as ones that speak of the outer.
/// `workspace` is where the inner one's own workspace begins, in bytes.
void append_inner(Recipe& recipe, const Recipe& inner, const std::vector<Whereabouts>& inputs,
                  const Whereabouts& output, uint64_t workspace);

}  // namespace backplane::codegen
