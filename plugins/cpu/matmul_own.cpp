// SPDX-License-Identifier: Apache-2.0
// Our own matrix products: packed and blocked, in place for small problems, matrix times vector, integers.
#include <algorithm>

#include "cpu_features.h"
#include "matmul.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

enum class Kind { packed, small };

/// Gemm loops of the instruction set's table, one slice a thread, each with its own area for packed panels.
class OwnGemm final : public Work {
 public:
  OwnGemm(const Op& op, Kind kind)
      : p_(op), size_(sdk::dtype_size(op.out[0].dtype)), slices_(slice_matmul(p_, thread_count(), 48, 64)) {
    const bool f32 = op.out[0].dtype == BP_F32;
    gemm_ = kind == Kind::packed ? (f32 ? isa().gemm_f32 : isa().gemm_f64)
                                 : (f32 ? isa().gemm_small_f32 : isa().gemm_small_f64);
    pack_ = round_up(static_cast<uint64_t>(kind == Kind::packed ? isa().gemm_pack_bytes : isa().gemm_small_pack_bytes));
    workspace = pack_ * slices_.size();
  }
  void run(const Args& args) const override {
    if (p_.m == 0 || p_.n == 0 || p_.batch == 0) return;
    if (slices_.size() == 1) return run_slice(args, 0);
    parallel_tasks(static_cast<int64_t>(slices_.size()), [&](int64_t i) { run_slice(args, i); });
  }

 private:
  void run_slice(const Args& args, int64_t index) const {
    const MatmulSlice& s = slices_[static_cast<size_t>(index)];
    for (int64_t i = s.batch0; i < s.batch0 + s.batches; ++i) {
      int64_t a, b, c;
      p_.offsets(i, a, b, c);
      a += s.m0 * p_.a_row, b += s.n0 * p_.b_column, c += s.m0 * p_.c_row + s.n0 * p_.c_column;
      gemm_({s.m, s.n, p_.k, args.in[0] + a * size_, p_.a_row, p_.a_column, args.in[1] + b * size_, p_.b_row,
             p_.b_column, args.out[0] + c * size_, p_.c_row, p_.c_column,
             args.workspace + static_cast<uint64_t>(index) * pack_, false});
    }
  }

  MatmulProblem p_;
  int64_t size_;
  std::vector<MatmulSlice> slices_;
  Gemm gemm_;
  uint64_t pack_;
};

/// One row or one column of f32 results: bound by reading the matrix once. `rows`: the matrix's rows are dense, each
/// gives a dot product; otherwise its columns are, and rows are added up scaled.
class MatrixVector final : public Work {
 public:
  explicit MatrixVector(const Op& op) : p_(op), row_(p_.m == 1) {}
  /// One row times a matrix, or a matrix times one column, where the vector and the matrix's long side are dense.
  static bool fits(const Op& op) {
    if (op.out[0].dtype != BP_F32 || op.in[0].dtype != BP_F32) return false;
    const MatmulProblem p(op);
    if (p.m == 1 && p.n > 1) return (p.b_column == 1 && p.c_column == 1) || (p.b_row == 1 && p.a_column == 1);
    if (p.n == 1) return (p.a_column == 1 && p.b_row == 1) || (p.a_row == 1 && p.c_row == 1);
    return false;
  }
  void run(const Args& args) const override {
    // As vector x[k] and matrix w(i, p) with out[i] = sum over p of x[p] w(i, p).
    const int64_t count = row_ ? p_.n : p_.m;
    const int64_t w_out = row_ ? p_.b_column : p_.a_row, w_k = row_ ? p_.b_row : p_.a_column;
    const int64_t x_k = row_ ? p_.a_column : p_.b_row, y_out = row_ ? p_.c_column : p_.c_row;
    for (int64_t i = 0; i < p_.batch; ++i) {
      int64_t oa, ob, oc;
      p_.offsets(i, oa, ob, oc);
      auto* x = reinterpret_cast<const float*>(args.in[row_ ? 0 : 1]) + (row_ ? oa : ob);
      auto* w = reinterpret_cast<const float*>(args.in[row_ ? 1 : 0]) + (row_ ? ob : oa);
      auto* y = reinterpret_cast<float*>(args.out[0]) + oc;
      const bool dots = w_k == 1 && x_k == 1;
      const int64_t row_bytes = std::max<int64_t>(1, p_.k * 4);
      const int64_t grain = std::max<int64_t>(dots ? 1 : 256, kParallelBytes / 2 / row_bytes);
      parallel_ranges(count, grain, [&](int64_t begin, int64_t end) {
        if (dots) {
          for (int64_t j = begin; j < end; ++j) isa().dot_f32(x, w + j * w_out, p_.k, y + j * y_out);
          return;
        }
        std::fill(y + begin, y + end, 0.0f);
        for (int64_t q = 0; q < p_.k; ++q) isa().axpy_f32(x[q * x_k], w + q * w_k + begin, y + begin, end - begin);
      });
    }
  }

 private:
  MatmulProblem p_;
  bool row_;
};

/// Integers wrap; any strides.
template <class T, class U>
class IntegerGemm final : public Work {
 public:
  explicit IntegerGemm(const Op& op) : p_(op) {}
  void run(const Args& args) const override {
    for (int64_t i = 0; i < p_.batch; ++i) {
      int64_t oa, ob, oc;
      p_.offsets(i, oa, ob, oc);
      auto* a = reinterpret_cast<const T*>(args.in[0]) + oa;
      auto* b = reinterpret_cast<const T*>(args.in[1]) + ob;
      auto* c = reinterpret_cast<T*>(args.out[0]) + oc;
      const int64_t row_work = std::max<int64_t>(1, p_.n * p_.k);
      parallel_ranges(p_.m, kParallelFlops / row_work, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) run_row(a + r * p_.a_row, b, c + r * p_.c_row);
      });
    }
  }

 private:
  void run_row(const T* a, const T* b, T* c) const {
    constexpr int64_t kBlock = 256;
    U sums[kBlock];
    for (int64_t j0 = 0; j0 < p_.n; j0 += kBlock) {
      const int64_t n = std::min(kBlock, p_.n - j0);
      std::fill_n(sums, n, U{0});
      for (int64_t q = 0; q < p_.k; ++q) {
        const U scale = static_cast<U>(a[q * p_.a_column]);
        const T* row = b + q * p_.b_row + j0 * p_.b_column;
        for (int64_t j = 0; j < n; ++j) sums[j] += scale * static_cast<U>(row[j * p_.b_column]);
      }
      for (int64_t j = 0; j < n; ++j) c[(j0 + j) * p_.c_column] = static_cast<T>(sums[j]);
    }
  }

  MatmulProblem p_;
};

}  // namespace

void gemm_serial(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_row, int64_t a_column, const float* b,
                 int64_t b_row, int64_t b_column, float* c, int64_t c_row, int64_t c_column, bool accumulate,
                 void* pack) {
  const bool small = b_column == 1 && c_column == 1 && m <= 64 && k * n <= 64 * 64;
  (small ? isa().gemm_small_f32 : isa().gemm_f32)(
      {m, n, k, a, a_row, a_column, b, b_row, b_column, c, c_row, c_column, pack, accumulate});
}

void list_own_matmul(const Op& op, Candidates& out) {
  switch (op.out[0].dtype) {
    case BP_I32: out.push_back(ready("own-integer", std::make_shared<IntegerGemm<int32_t, uint32_t>>(op))); return;
    case BP_I64: out.push_back(ready("own-integer", std::make_shared<IntegerGemm<int64_t, uint64_t>>(op))); return;
    default: break;
  }
  const MatmulProblem p(op);
  const bool in_place = p.b_column == 1 && p.c_column == 1;
  const bool tiny = p.m <= 128 && p.n <= 128 && p.k <= 512;
  if (MatrixVector::fits(op)) out.push_back(ready("own-vector", std::make_shared<MatrixVector>(op), 0.9));
  // Rows that do not fill whole vectors leave lanes idle, which a generated kernel does not.
  const double small_prior = !tiny ? 1.5 : p.n % 16 == 0 ? 0.95 : 1.05;
  if (in_place) out.push_back(ready("own-small", std::make_shared<OwnGemm>(op, Kind::small), small_prior));
  out.push_back(ready("own-packed", std::make_shared<OwnGemm>(op, Kind::packed), 1.1));
}

}  // namespace backplane::cpu
