// SPDX-License-Identifier: Apache-2.0
// MATMUL: which implementations there are for an operation, in order, and the slicing they share.
#include "matmul.h"

#include <algorithm>

#include "families.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {

MatmulProblem::MatmulProblem(const bp_tensor_desc& a, const bp_tensor_desc& b, const bp_tensor_desc& c) {
  const uint32_t rank = c.rank;
  m = c.shape[rank - 2], n = c.shape[rank - 1], k = a.shape[rank - 1];
  a_row = a.strides[rank - 2], a_column = a.strides[rank - 1];
  b_row = b.strides[rank - 2], b_column = b.strides[rank - 1];
  c_row = c.strides[rank - 2], c_column = c.strides[rank - 1];
  batch_rank = static_cast<int>(rank) - 2;
  for (int i = 0; i < batch_rank; ++i) {
    extent[i] = c.shape[i];
    a_batch[i] = a.strides[i], b_batch[i] = b.strides[i], c_batch[i] = c.strides[i];
    batch *= extent[i];
  }
}

void MatmulProblem::offsets(int64_t index, int64_t& a, int64_t& b, int64_t& c) const {
  a = b = c = 0;
  for (int i = batch_rank; i-- > 0;) {
    const int64_t at = index % extent[i];
    index /= extent[i];
    a += at * a_batch[i], b += at * b_batch[i], c += at * c_batch[i];
  }
}

std::vector<MatmulSlice> slice_matmul_along(const MatmulProblem& p, int threads, char side, int64_t tile) {
  const int64_t extent = side == 'b' ? p.batch : side == 'm' ? p.m : p.n;
  const int64_t tiles = (extent + tile - 1) / tile;
  const int64_t count = std::max<int64_t>(1, std::min<int64_t>(threads, tiles));
  std::vector<MatmulSlice> slices;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = std::min(extent, tiles * i / count * tile),
                  end = std::min(extent, tiles * (i + 1) / count * tile);
    MatmulSlice slice{0, p.batch, 0, p.m, 0, p.n};
    if (side == 'b') slice.batch0 = begin, slice.batches = end - begin;
    else if (side == 'm') slice.m0 = begin, slice.m = end - begin;
    else slice.n0 = begin, slice.n = end - begin;
    slices.push_back(slice);
  }
  return slices;
}

std::vector<MatmulSlice> slice_matmul(const MatmulProblem& p, int threads, int64_t m_tile, int64_t n_tile) {
  if (threads == 1 || p.flops() < 2.0 * static_cast<double>(kParallelFlops)) return {{0, p.batch, 0, p.m, 0, p.n}};
  if (p.batch >= threads) return slice_matmul_along(p, threads, 'b', 1);
  return p.m >= p.n ? slice_matmul_along(p, threads, 'm', m_tile) : slice_matmul_along(p, threads, 'n', n_tile);
}

namespace {

void list_plain(const Op& op, Candidates& out) {
  if (sdk::is_f8(op.in[0].dtype)) return list_via_f32(op, list_plain, out);
  const bool half = is_half(op.in[0].dtype) || is_half(op.out[0].dtype);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_matmul(op, out);
#endif
  if (half) list_via_f32(op, list_plain, out);
  else list_own_matmul(op, out);
}

}  // namespace

std::string refuse_matmul(const Op& op) {
  const bp_tensor_desc &a = op.in[0], &b = op.in[1], &c = op.out[0];
  if (a.rank < 2 || a.rank != b.rank || a.rank != c.rank) return "operands of different rank, or below 2";
  for (uint32_t i = 0; i + 2 < a.rank; ++i) {
    if (a.shape[i] != c.shape[i] || b.shape[i] != c.shape[i]) return "batch extents differ";
  }
  const uint32_t r = a.rank;
  if (a.shape[r - 1] != b.shape[r - 2] || a.shape[r - 2] != c.shape[r - 2] || b.shape[r - 1] != c.shape[r - 1]) {
    return "inner extents do not match";
  }
  if (a.dtype == BP_BOOL) return "bool operands";
  if (a.dtype != b.dtype) return "operands of different dtypes";
  if (!op.program && c.dtype != (sdk::is_f8(a.dtype) ? uint32_t{BP_F32} : a.dtype)) return "the result's dtype differs from the operands'";
  return op.program ? refuse_epilogue(op, 2) : std::string();
}

void list_matmul(const Op& op, Candidates& out) {
  if (!op.program) return list_plain(op, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  if (!sdk::is_f8(op.in[0].dtype)) list_onednn_matmul(op, out);
#endif
  list_with_epilogue(op, 2, list_plain, out);
}

}  // namespace backplane::cpu
