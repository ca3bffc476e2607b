// SPDX-License-Identifier: Apache-2.0
// A matmul as the kernels take it: batch axes walked jointly, rows and columns swapped where that makes the result's
// columns neighbours in memory. The operands may also be other operations' (a 1 x 1 convolution's).
#pragma once

#include <memory>

#include "product.h"

namespace backplane::codegen {

struct MatmulProblem {
  explicit MatmulProblem(const bp_op& op);

  const bp_op* op;
  bool swapped;               ///< computes the transpose: a is the operation's second operand
  uint32_t a_index, b_index;  ///< which inputs of the operation a and b are
  int64_t batch, m, n, k;
  uint32_t dtype;
  int64_t a_m, a_k, b_k, b_n, y_m, y_n;
  bool a_shared, b_shared;  ///< the same for the whole batch

  const bp_tensor_desc& a() const { return op->inputs[a_index]; }
  const bp_tensor_desc& b() const { return op->inputs[b_index]; }
  const bp_tensor_desc& y() const { return op->outputs[0]; }
};

/// The part of PUT's statement that all matmul kernels share.
void declare_matmul_result(Source& source, const MatmulProblem& problem);
Product matmul_product(const MatmulProblem& problem);

/// Whether positions in the operand are multiples of 4 whenever they are for a place along `dense_axis` that is.
bool steps_in_fours(const bp_tensor_desc& desc, uint32_t dense_axis);

/// Tiles by subgroups that share what they load.
void list_matmul_shuffle(const MatmulProblem& problem, const DeviceFacts& facts, Variants& out);
/// Tiles in registers, with and without packed operands.
void list_tiles(const MatmulProblem& problem, const DeviceFacts& facts, Variants& out);
/// Many products of a few elements each.
void list_small(const MatmulProblem& problem, const DeviceFacts& facts, Variants& out);
/// A few rows times a matrix whose rows are dense.
void list_columns(const MatmulProblem& problem, const DeviceFacts& facts, Variants& out);
/// Thin products along k.
void list_dots(const MatmulProblem& problem, const DeviceFacts& facts, Variants& out);

/// All variants of a matmul, best guess first.
void list_matmul(const bp_op& op, const DeviceFacts& facts, Variants& out);

}  // namespace backplane::codegen
