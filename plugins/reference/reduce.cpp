// SPDX-License-Identifier: Apache-2.0
// REDUCE: for each kept position, all reduced positions in row-major order. Floats accumulate in double.
#include <cmath>
#include <limits>

#include "axes.hpp"

namespace backplane::reference {
namespace {

template <class W>
bool is_nan(W value) {
  return value != value;
}

class Reduce final : public TypedKernel<Reduce> {
 public:
  explicit Reduce(const bp_op& op) : TypedKernel(op), kind_(sdk::attrs<bp_reduce_attrs>(op).kind) {
    const bp_tensor_desc x = dense(in(0), BP_F64);
    const uint32_t axes = sdk::attrs<bp_reduce_attrs>(op).axes;
    for (uint32_t i = 0; i < x.rank; ++i) ((axes >> i & 1u) != 0 ? reduced_ : kept_).add(x.shape[i], x.strides[i]);
    workspace = dense_bytes(true, true) + epilogue_bytes(numel(out(0)));
  }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    const W* x = load<W>(0, inputs, scratch);
    const bool is_index = kind_ == BP_REDUCE_ARGMAX || kind_ == BP_REDUCE_ARGMIN;
    if (is_index) {
      int64_t* y = scratch.take<int64_t>(kept_.count);
      kept_.for_each([&, at = y](int64_t base) mutable { *at++ = index_of_extremum(x + base); });
      return store_dense(out(0), pointer(outputs[0]), y);
    }
    W* y = scratch.take<W>(kept_.count);
    kept_.for_each([&, at = y](int64_t base) mutable { *at++ = value_of(x + base); });
    finish(y, inputs, outputs, scratch);
  }

 private:
  template <class W>
  static W extreme(bool lowest, uint32_t dtype) {  // the identity of max (lowest) and min
    if constexpr (std::is_floating_point_v<W>) {
      return lowest ? -std::numeric_limits<W>::infinity() : std::numeric_limits<W>::infinity();
    } else {
      if (dtype == BP_BOOL) return lowest ? 0 : 1;
      if (dtype == BP_I32) return lowest ? INT32_MIN : INT32_MAX;
      return lowest ? std::numeric_limits<W>::min() : std::numeric_limits<W>::max();
    }
  }
  static double add(double a, double b) { return a + b; }
  static double multiply(double a, double b) { return a * b; }
  static int64_t add(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
  static int64_t multiply(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }

  template <class W>
  W value_of(const W* x) const {
    W result{};
    switch (kind_) {
      case BP_REDUCE_SUM:
        reduced_.for_each([&](int64_t at) { result = add(result, x[at]); });
        return result;
      case BP_REDUCE_PROD:
        result = 1;
        reduced_.for_each([&](int64_t at) { result = multiply(result, x[at]); });
        return result;
      case BP_REDUCE_MAX:
        result = extreme<W>(true, in(0).dtype);
        reduced_.for_each([&](int64_t at) { if (x[at] > result || is_nan(x[at])) result = x[at]; });
        return result;
      default:
        result = extreme<W>(false, in(0).dtype);
        reduced_.for_each([&](int64_t at) { if (x[at] < result || is_nan(x[at])) result = x[at]; });
        return result;
    }
  }

  template <class W>
  int64_t index_of_extremum(const W* x) const {
    const bool max = kind_ == BP_REDUCE_ARGMAX;
    int64_t best = 0, position = 0;
    W value{};
    reduced_.for_each([&](int64_t at) {
      const bool better = max ? x[at] > value : x[at] < value;
      if (position == 0 || (!is_nan(value) && (better || is_nan(x[at])))) {
        best = position;
        value = x[at];
      }
      ++position;
    });
    return best;
  }

  uint32_t kind_;
  Axes kept_, reduced_;  // strides of the dense copy
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_reduce(const bp_op& op) { return std::make_unique<Reduce>(op); }

}  // namespace backplane::reference
