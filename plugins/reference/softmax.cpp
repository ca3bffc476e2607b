// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, LOG_SOFTMAX and their gradients: one function per row, a row being strided in the dense copy.
#include <cmath>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

/// A row of n values, `step` apart. For the gradients a is y and b is dy.
using RowFunction = void (*)(const double* a, const double* b, double* result, int64_t n, int64_t step);

double maximum(const double* x, int64_t n, int64_t step) {
  double result = -INFINITY;
  for (int64_t i = 0; i < n; ++i) {
    if (x[i * step] > result || std::isnan(x[i * step])) result = x[i * step];
  }
  return result;
}

// A row of -inf gives -inf - -inf = NaN, and so does one with +inf or NaN in it.
void softmax_row(const double* x, const double*, double* y, int64_t n, int64_t step) {
  const double max = maximum(x, n, step);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += y[i * step] = std::exp(x[i * step] - max);
  for (int64_t i = 0; i < n; ++i) y[i * step] /= sum;
}
void log_softmax_row(const double* x, const double*, double* y, int64_t n, int64_t step) {
  const double max = maximum(x, n, step);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i * step] - max);
  for (int64_t i = 0; i < n; ++i) y[i * step] = x[i * step] - max - std::log(sum);
}
void softmax_grad_row(const double* y, const double* dy, double* dx, int64_t n, int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += y[i * step] * dy[i * step];
  for (int64_t i = 0; i < n; ++i) dx[i * step] = y[i * step] * (dy[i * step] - sum);
}
void log_softmax_grad_row(const double* y, const double* dy, double* dx, int64_t n, int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += dy[i * step];
  for (int64_t i = 0; i < n; ++i) dx[i * step] = dy[i * step] - std::exp(y[i * step]) * sum;
}

class Rows final : public Kernel {
 public:
  Rows(const bp_op& op, RowFunction function) : Kernel(op), function_(function) {
    const uint32_t axis = sdk::attrs<bp_axis_attrs>(op).axis;
    for (uint32_t i = 0; i < in(0).rank; ++i) (i < axis ? outer_ : i == axis ? n_ : inner_) *= in(0).shape[i];
    workspace = dense_bytes(true, true);
  }
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    const double* a = load<double>(0, inputs, scratch);
    const double* b = num_inputs() == 2 ? load<double>(1, inputs, scratch) : a;
    double* result = scratch.take<double>(numel(out(0)));
    for (int64_t o = 0; o < outer_; ++o) {
      for (int64_t i = 0; i < inner_; ++i) {
        const int64_t at = o * n_ * inner_ + i;
        function_(a + at, b + at, result + at, n_, inner_);
      }
    }
    store_dense(out(0), pointer(outputs[0]), result);
  }

 private:
  RowFunction function_;
  int64_t outer_ = 1, n_ = 1, inner_ = 1;
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_softmax(const bp_op& op) { return std::make_unique<Rows>(op, softmax_row); }
std::unique_ptr<sdk::HostKernel> make_log_softmax(const bp_op& op) {
  return std::make_unique<Rows>(op, log_softmax_row);
}
std::unique_ptr<sdk::HostKernel> make_softmax_grad(const bp_op& op) {
  return std::make_unique<Rows>(op, softmax_grad_row);
}
std::unique_ptr<sdk::HostKernel> make_log_softmax_grad(const bp_op& op) {
  return std::make_unique<Rows>(op, log_softmax_grad_row);
}

}  // namespace backplane::reference
