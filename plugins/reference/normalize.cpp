// SPDX-License-Identifier: Apache-2.0
// NORMALIZE and NORMALIZE_GRAD: statistics in two passes (mean, then squares of differences), all in double.
#include <algorithm>
#include <cmath>

#include "axes.hpp"

namespace backplane::reference {
namespace {

/// x's shape with extent 1 on `axes`.
bp_tensor_desc reduced(const bp_tensor_desc& x, uint32_t axes) {
  bp_tensor_desc result = x;
  for (uint32_t i = 0; i < x.rank; ++i) {
    if ((axes >> i & 1u) != 0) result.shape[i] = 1;
  }
  return dense(result, BP_F64);
}

class NormalizeBase : public Kernel {
 protected:
  NormalizeBase(const bp_op& op, const bp_tensor_desc& x)
      : Kernel(op), rms_(sdk::attrs<bp_normalize_attrs>(op).kind == BP_NORMALIZE_RMS),
        epsilon_(sdk::attrs<bp_normalize_attrs>(op).epsilon),
        statistics_(reduced(x, sdk::attrs<bp_normalize_attrs>(op).axes)), groups_(onto(x, statistics_)) {
    count_ = static_cast<double>(numel(statistics_) == 0 ? 0 : numel(x) / numel(statistics_));
  }

  /// body(i, group): element i of the dense x belongs to statistic `group`.
  template <class Body>
  void for_each(Body&& body) const {
    groups_.for_each([&, i = int64_t{0}](int64_t group) mutable { body(i++, group); });
  }
  /// Sum over each group of term(i, group).
  template <class Term>
  double* sum_groups(Scratch& scratch, Term&& term) const {
    double* sums = scratch.take<double>(numel(statistics_));
    std::fill_n(sums, numel(statistics_), 0.0);
    for_each([&](int64_t i, int64_t group) { sums[group] += term(i, group); });
    return sums;
  }

  bool rms_;
  double epsilon_;
  bp_tensor_desc statistics_;
  Axes groups_;
  double count_;  // elements of one group
};

class Normalize final : public NormalizeBase {
 public:
  explicit Normalize(const bp_op& op) : NormalizeBase(op, op.inputs[0]) {
    Scratch measure(nullptr);
    for (int i = 0; i < 2; ++i) measure.take<double>(numel(statistics_));
    measure.take<double>(numel(out(0)));
    workspace = dense_bytes(true, false) + measure.used();
  }

  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    const double* x = load<double>(0, inputs, scratch);
    const double* scale = load<double>(1, inputs, scratch);
    const double* shift = load<double>(2, inputs, scratch);
    const int64_t groups = numel(statistics_);
    double* mean = sum_groups(scratch, [&](int64_t i, int64_t) { return rms_ ? 0 : x[i]; });
    for (int64_t g = 0; g < groups; ++g) mean[g] = rms_ ? 0 : mean[g] / count_;
    double* rstd = sum_groups(scratch, [&](int64_t i, int64_t g) { return (x[i] - mean[g]) * (x[i] - mean[g]); });
    for (int64_t g = 0; g < groups; ++g) rstd[g] = 1 / std::sqrt(rstd[g] / count_ + epsilon_);
    double* y = scratch.take<double>(numel(out(0)));
    for_each([&](int64_t i, int64_t g) { y[i] = (x[i] - mean[g]) * rstd[g] * scale[i] + shift[i]; });
    store_dense(out(0), pointer(outputs[0]), y);
    if (num_outputs() == 3) {
      store_dense(out(1), pointer(outputs[1]), mean);
      store_dense(out(2), pointer(outputs[2]), rstd);
    }
  }
};

class NormalizeGrad final : public NormalizeBase {
 public:
  explicit NormalizeGrad(const bp_op& op) : NormalizeBase(op, op.inputs[1]) {
    Scratch measure(nullptr);
    for (int i = 0; i < 2; ++i) measure.take<double>(numel(statistics_));
    workspace = dense_bytes(true, true) + measure.used();
  }

  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    const double* dy = load<double>(0, inputs, scratch);
    const double* x = load<double>(1, inputs, scratch);
    const double* mean = load<double>(2, inputs, scratch);
    const double* rstd = load<double>(3, inputs, scratch);
    const double* scale = load<double>(4, inputs, scratch);
    const auto normal = [&](int64_t i, int64_t g) { return (x[i] - (rms_ ? 0 : mean[g])) * rstd[g]; };
    const double* sum = sum_groups(scratch, [&](int64_t i, int64_t) { return rms_ ? 0 : dy[i] * scale[i]; });
    const double* dot = sum_groups(scratch, [&](int64_t i, int64_t g) { return dy[i] * scale[i] * normal(i, g); });
    double* dx = scratch.take<double>(numel(out(0)));
    for_each([&](int64_t i, int64_t g) {
      dx[i] = rstd[g] * (dy[i] * scale[i] - sum[g] / count_ - normal(i, g) * dot[g] / count_);
    });
    store_dense(out(0), pointer(outputs[0]), dx);
    // dscale needs each element's statistic again: dx's memory takes dy times the normalised x first.
    for_each([&](int64_t i, int64_t g) { dx[i] = dy[i] * normal(i, g); });
    sum_into(1, dx, outputs, scratch);
    sum_into(2, dy, outputs, scratch);
  }

 private:
  void sum_into(uint32_t output, const double* terms, const bp_view* outputs, Scratch& scratch) const {
    double* sums = scratch.take<double>(numel(out(output)));
    std::fill_n(sums, numel(out(output)), 0.0);
    onto(in(1), out(output)).for_each([&, i = int64_t{0}](int64_t at) mutable { sums[at] += terms[i++]; });
    store_dense(out(output), pointer(outputs[output]), sums);
  }
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_normalize(const bp_op& op) { return std::make_unique<Normalize>(op); }
std::unique_ptr<sdk::HostKernel> make_normalize_grad(const bp_op& op) { return std::make_unique<NormalizeGrad>(op); }

}  // namespace backplane::reference
