// SPDX-License-Identifier: Apache-2.0
// A MATMUL in cuBLASLt's terms: D = activation(alpha op(L) op(R) + beta C + bias), all column-major.
#pragma once

#include <cublasLt.h>

#include <optional>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::cuda {

/// A column-major matrix, or its transpose, with a constant step from one batch entry to the next.
struct LtMatrix {
  int64_t rows = 0, columns = 0, leading = 0, batch_step = 0;
  bool transposed = false;
  bool operator==(const LtMatrix&) const = default;
};

struct LtProblem {
  LtMatrix left, right, result;
  bool left_is_a = false;
  int64_t batch = 1;
  cudaDataType_t type = CUDA_R_32F, result_type = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  uint32_t notes = 0;
  uint64_t product_bytes = 0;  ///< of the product's place in the workspace; 0: it is made in the output
  /// What follows the sum.
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  double alpha = 1, beta = 0;
  std::optional<uint32_t> addend, bias;  ///< which of the operation's inputs C and the bias are
  std::vector<uint32_t> scales;          ///< and those that L and R are multiplied with: one number each, of 8-bit floats alone
  LtMatrix added;                        ///< C
  int64_t bias_step = 0;                 ///< from one batch entry to the next
};

/// The product alone, in the dtype that an epilogue reads where there is one; nothing where cuBLASLt does not suit.
std::optional<LtProblem> lt_product_problem(const bp_op& op);

/// Product and epilogue in one, where the program is one of cuBLASLt's: alpha, at most two scales, at most one addend laid out as the result is,
/// at most one bias along the result's rows, then nothing, max(x, 0) or GELU's tanh form; all in the output's dtype.
std::optional<LtProblem> lt_fused_problem(const bp_op& op);

}  // namespace backplane::cuda
