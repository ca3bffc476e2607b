// SPDX-License-Identifier: Apache-2.0
// What the implementations of MATMUL share: a problem with its strides named, and how it is cut into slices, one a
// thread.
#pragma once

#include "work.h"

namespace backplane::cpu {

/// c[batch..., m, n] = a[batch..., m, k] b[batch..., k, n].
struct MatmulProblem {
  int64_t m, n, k, batch = 1;
  int64_t a_row, a_column, b_row, b_column, c_row, c_column;
  int batch_rank;
  int64_t extent[BP_MAX_RANK];
  int64_t a_batch[BP_MAX_RANK], b_batch[BP_MAX_RANK], c_batch[BP_MAX_RANK];

  MatmulProblem(const bp_tensor_desc& a, const bp_tensor_desc& b, const bp_tensor_desc& c);
  explicit MatmulProblem(const Op& op) : MatmulProblem(op.in[0], op.in[1], op.out[0]) {}
  /// Offsets in elements of batch entry `index`.
  void offsets(int64_t index, int64_t& a, int64_t& b, int64_t& c) const;
  double flops() const {
    return 2.0 * static_cast<double>(batch) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

struct MatmulSlice {
  int64_t batch0, batches, m0, m, n0, n;
};
/// At most `threads` slices: over the batch if it is long enough, else over the longer of m and n, in multiples of the
/// given tile. One slice when the problem is too small to share.
std::vector<MatmulSlice> slice_matmul(const MatmulProblem& p, int threads, int64_t m_tile, int64_t n_tile);
/// The same along a chosen side: 'b', 'm' or 'n'.
std::vector<MatmulSlice> slice_matmul_along(const MatmulProblem& p, int threads, char side, int64_t tile);

/// Candidates without epilogue, f32 and f64 (own kernels) and integers.
void list_own_matmul(const Op& op, Candidates& out);
/// One f32 product on the current thread, for kernels built on top of it (convolution, attention).
/// `pack` is isa().gemm_pack_bytes of scratch.
void gemm_serial(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_row, int64_t a_column, const float* b,
                 int64_t b_row, int64_t b_column, float* c, int64_t c_row, int64_t c_column, bool accumulate,
                 void* pack);

#if defined(BACKPLANE_CPU_ONEDNN)
/// oneDNN's candidates, with the epilogue as post-ops where it fits (matmul_onednn.cpp).
void list_onednn_matmul(const Op& op, Candidates& out);
#endif

}  // namespace backplane::cpu
