// SPDX-License-Identifier: Apache-2.0
// SORT and TOP_K: indices sorted by (value, index), which makes any sort stable without extra memory.
#include <algorithm>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

class Sort final : public TypedKernel<Sort> {
 public:
  explicit Sort(const bp_op& op) : TypedKernel(op), descending_(sdk::attrs<bp_sort_attrs>(op).descending != 0) {
    const uint32_t axis = sdk::attrs<bp_sort_attrs>(op).axis;
    for (uint32_t i = 0; i < in(0).rank; ++i) (i < axis ? outer_ : i == axis ? n_ : inner_) *= in(0).shape[i];
    k_ = out(0).shape[axis];
    Scratch measure(nullptr);
    measure.take<int32_t>(n_);
    workspace = dense_bytes(true, true) + measure.used();
  }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    const W* x = load<W>(0, inputs, scratch);
    int32_t* order = scratch.take<int32_t>(n_);
    W* values = scratch.take<W>(numel(out(0)));
    int64_t* indices = scratch.take<int64_t>(numel(out(1)));
    for (int64_t o = 0; o < outer_; ++o) {
      for (int64_t i = 0; i < inner_; ++i) {
        const W* row = x + o * n_ * inner_ + i;
        for (int64_t j = 0; j < n_; ++j) order[j] = static_cast<int32_t>(j);
        std::sort(order, order + n_, [&](int32_t a, int32_t b) {
          const W left = row[a * inner_], right = row[b * inner_];
          if (before(left, right)) return true;
          return !before(right, left) && a < b;
        });
        for (int64_t j = 0; j < k_; ++j) {
          values[(o * k_ + j) * inner_ + i] = row[order[j] * inner_];
          indices[(o * k_ + j) * inner_ + i] = order[j];
        }
      }
    }
    store_dense(out(0), pointer(outputs[0]), values);
    store_dense(out(1), pointer(outputs[1]), indices);
  }

 private:
  template <class W>
  static bool less(W a, W b) {  // NaN is larger than any number
    return a == a && (b != b || a < b);
  }
  template <class W>
  bool before(W a, W b) const {
    return descending_ ? less(b, a) : less(a, b);
  }

  bool descending_;
  int64_t outer_ = 1, n_ = 1, inner_ = 1, k_;
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_sort(const bp_op& op) { return std::make_unique<Sort>(op); }

}  // namespace backplane::reference
