// SPDX-License-Identifier: Apache-2.0
// MATMUL, one pair of matrices at a time: dense copies, then rows of b added up.
#include <algorithm>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

/// The last two axes.
bp_tensor_desc matrix_of(const bp_tensor_desc& desc) {
  bp_tensor_desc matrix{};
  matrix.dtype = desc.dtype;
  matrix.rank = 2;
  for (uint32_t i = 0; i < 2; ++i) {
    matrix.shape[i] = desc.shape[desc.rank - 2 + i];
    matrix.strides[i] = desc.strides[desc.rank - 2 + i];
  }
  return matrix;
}

class Matmul final : public TypedKernel<Matmul> {
 public:
  explicit Matmul(const bp_op& op)
      : TypedKernel(op), a_(matrix_of(in(0))), b_(matrix_of(in(1))), c_(matrix_of(out(0))) {
    batch_ = out(0);
    batch_.rank -= 2;
    Scratch measure(nullptr);
    for (const bp_tensor_desc* desc : {&a_, &b_, &c_}) measure.take<double>(numel(*desc));
    workspace = measure.used() + epilogue_bytes(numel(c_));
  }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    W* a = scratch.take<W>(numel(a_));
    W* b = scratch.take<W>(numel(b_));
    W* c = scratch.take<W>(numel(c_));
    const int64_t m = c_.shape[0], n = c_.shape[1], k = a_.shape[1], batches = numel(batch_);
    int64_t a_loaded = -1, b_loaded = -1;
    for (int64_t batch = 0; batch < batches; ++batch) {
      load_slice(0, a_, batch, inputs, a, a_loaded);
      load_slice(1, b_, batch, inputs, b, b_loaded);
      std::fill(c, c + m * n, W{});
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t p = 0; p < k; ++p) add_row(c + i * n, a[i * k + p], b + p * n, n);
      }
      int64_t extra_at[BP_PROGRAM_MAX_INPUTS] = {};
      for (uint32_t j = own_inputs(); j < num_inputs(); ++j) extra_at[j - own_inputs()] = slice_at(in(j), batch);
      Scratch rest = scratch;
      finish(c_, slice_at(out(0), batch), extra_at, c, inputs, outputs, rest);
    }
  }

 private:
  static void add_row(double* c, double a, const double* b, int64_t n) {
    for (int64_t j = 0; j < n; ++j) c[j] += a * b[j];
  }
  static void add_row(int64_t* c, int64_t a, const int64_t* b, int64_t n) {
    for (int64_t j = 0; j < n; ++j) c[j] = int64_t(uint64_t(c[j]) + uint64_t(a) * uint64_t(b[j]));
  }
  /// Element offset of matrix `batch` in an operand shaped like output 0 in its batch axes.
  int64_t slice_at(const bp_tensor_desc& operand, int64_t batch) const {
    bp_tensor_desc leading = batch_;
    std::copy_n(operand.strides, batch_.rank, leading.strides);
    return bp_sdk_offset(&leading, batch);
  }
  template <class W>
  void load_slice(uint32_t i, const bp_tensor_desc& matrix, int64_t batch, const bp_view* inputs, W* dense,
                  int64_t& loaded) const {
    const int64_t at = slice_at(in(i), batch);
    if (batch != 0 && at == loaded) return;  // broadcast: the same matrix again
    loaded = at;
    load_dense(matrix, pointer(inputs[i]) + at * bp_sdk_dtype_size(matrix.dtype), dense);
  }

  bp_tensor_desc a_, b_, c_, batch_;
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_matmul(const bp_op& op) { return std::make_unique<Matmul>(op); }

}  // namespace backplane::reference
