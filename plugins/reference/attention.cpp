// SPDX-License-Identifier: Apache-2.0
// ATTENTION and ATTENTION_GRAD, one query at a time. The gradient recomputes each row of probabilities in double
// instead of reading o and lse, which are rounded.
#include <algorithm>
#include <cmath>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

class AttentionBase : public Kernel {
 protected:
  AttentionBase(const bp_op& op, uint32_t q, uint32_t mask)
      : Kernel(op), scale_(sdk::attrs<bp_attention_attrs>(op).scale),
        causal_(sdk::attrs<bp_attention_attrs>(op).causal != 0), q_(q), mask_(num_inputs() > mask ? mask : 0) {
    batch_ = in(q).shape[0];
    heads_ = in(q).shape[1];
    queries_ = in(q).shape[2];
    depth_ = in(q).shape[3];
    key_heads_ = in(q + 1).shape[1];
    keys_ = in(q + 1).shape[2];
    values_ = in(q + 2).shape[3];
  }

  struct Row {
    int64_t batch, head, query;
    int64_t flat;  // of the query in [B, H, Sq]
    int64_t key;   // of the first key in [B, Hk, Sk]
  };
  template <class Body>
  void for_each_row(Body&& body) const {
    int64_t flat = 0;
    for (int64_t b = 0; b < batch_; ++b) {
      for (int64_t h = 0; h < heads_; ++h) {
        const int64_t key_head = h / (heads_ / key_heads_);
        for (int64_t i = 0; i < queries_; ++i) body(Row{b, h, i, flat++, (b * key_heads_ + key_head) * keys_});
      }
    }
  }

  /// Fills p with the row's probabilities, all zero when the query sees nothing, and returns log(sum(exp(score))).
  double probabilities(const Row& row, const double* q, const double* k, const bp_view* inputs, double* p) const {
    double max = -INFINITY;
    for (int64_t j = 0; j < keys_; ++j) {
      p[j] = score(row, j, q + row.flat * depth_, k + (row.key + j) * depth_, inputs);
      if (p[j] > max || std::isnan(p[j])) max = p[j];
    }
    if (max == -INFINITY) {
      std::fill_n(p, keys_, 0.0);
      return -INFINITY;
    }
    double sum = 0;
    for (int64_t j = 0; j < keys_; ++j) sum += p[j] = std::exp(p[j] - max);
    for (int64_t j = 0; j < keys_; ++j) p[j] /= sum;
    return max + std::log(sum);
  }
  static double dot(const double* a, const double* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
  }
  static void add_scaled(double* target, double factor, const double* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) target[i] += factor * x[i];
  }

  double scale_;
  bool causal_;
  int64_t batch_, heads_, queries_, depth_, key_heads_, keys_, values_;
  uint32_t q_;  // which input is q; k and v follow

 private:
  double score(const Row& row, int64_t j, const double* q, const double* k, const bp_view* inputs) const {
    if (causal_ && j > row.query + keys_ - queries_) return -INFINITY;
    double mask = 0;
    if (mask_ != 0) {
      const bp_tensor_desc& m = in(mask_);
      const int64_t at =
          row.batch * m.strides[0] + row.head * m.strides[1] + row.query * m.strides[2] + j * m.strides[3];
      mask = bp_sdk_load(m.dtype, pointer(inputs[mask_]), at);
      if (m.dtype == BP_BOOL) mask = mask != 0 ? 0 : -INFINITY;
      if (mask == -INFINITY) return mask;  // hidden keys do not spread their NaN
    }
    return scale_ * dot(q, k, depth_) + mask;
  }

  uint32_t mask_;  // which input is the mask; 0 = none
};

class Attention final : public AttentionBase {
 public:
  explicit Attention(const bp_op& op) : AttentionBase(op, 0, 3) {
    Scratch measure(nullptr);
    measure.take<double>(keys_);
    for (uint32_t i = 0; i < 3; ++i) measure.take<double>(numel(in(i)));
    workspace = measure.used() + dense_bytes(false, true);
  }
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    const double* q = load<double>(0, inputs, scratch);
    const double* k = load<double>(1, inputs, scratch);
    const double* v = load<double>(2, inputs, scratch);
    double* p = scratch.take<double>(keys_);
    double* o = scratch.take<double>(numel(out(0)));
    double* lse = num_outputs() == 2 ? scratch.take<double>(numel(out(1))) : nullptr;
    std::fill_n(o, numel(out(0)), 0.0);
    for_each_row([&](const Row& row) {
      const double log_sum = probabilities(row, q, k, inputs, p);
      if (lse != nullptr) lse[row.flat] = log_sum;
      for (int64_t j = 0; j < keys_; ++j) {
        if (p[j] != 0) add_scaled(o + row.flat * values_, p[j], v + (row.key + j) * values_, values_);
      }
    });
    store_dense(out(0), pointer(outputs[0]), o);
    if (lse != nullptr) store_dense(out(1), pointer(outputs[1]), lse);
  }
};

class AttentionGrad final : public AttentionBase {
 public:
  explicit AttentionGrad(const bp_op& op) : AttentionBase(op, 1, 6) {
    Scratch measure(nullptr);
    for (int i = 0; i < 2; ++i) measure.take<double>(keys_);
    for (uint32_t i = 0; i < 4; ++i) measure.take<double>(numel(in(i)));
    workspace = measure.used() + dense_bytes(false, true);
  }
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    const double* grad = load<double>(0, inputs, scratch);
    const double* q = load<double>(1, inputs, scratch);
    const double* k = load<double>(2, inputs, scratch);
    const double* v = load<double>(3, inputs, scratch);
    double* p = scratch.take<double>(keys_);
    double* dp = scratch.take<double>(keys_);
    double* d[3];
    for (uint32_t i = 0; i < 3; ++i) {
      d[i] = scratch.take<double>(numel(out(i)));
      std::fill_n(d[i], numel(out(i)), 0.0);
    }
    for_each_row([&](const Row& row) {
      probabilities(row, q, k, inputs, p);
      const double* row_grad = grad + row.flat * values_;
      double mean = 0;  // sum(p dp), which is sum(do o)
      for (int64_t j = 0; j < keys_; ++j) {
        dp[j] = p[j] != 0 ? dot(row_grad, v + (row.key + j) * values_, values_) : 0;
        mean += p[j] * dp[j];
      }
      for (int64_t j = 0; j < keys_; ++j) {
        if (p[j] == 0) continue;
        const double ds = scale_ * p[j] * (dp[j] - mean);
        add_scaled(d[0] + row.flat * depth_, ds, k + (row.key + j) * depth_, depth_);
        add_scaled(d[1] + (row.key + j) * depth_, ds, q + row.flat * depth_, depth_);
        add_scaled(d[2] + (row.key + j) * values_, p[j], row_grad, values_);
      }
    });
    for (uint32_t i = 0; i < 3; ++i) store_dense(out(i), pointer(outputs[i]), d[i]);
  }
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_attention(const bp_op& op) { return std::make_unique<Attention>(op); }
std::unique_ptr<sdk::HostKernel> make_attention_grad(const bp_op& op) { return std::make_unique<AttentionGrad>(op); }

}  // namespace backplane::reference
