// SPDX-License-Identifier: Apache-2.0
// POOL and POOL_GRAD: windows one by one, elements in row-major window order. Padding is never read: max ignores it,
// average counts it or not.
#include <algorithm>
#include <limits>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

class Pool final : public TypedKernel<Pool> {
 public:
  Pool(const bp_op& op, bool grad) : TypedKernel(op), grad_(grad), attrs_(sdk::attrs<bp_pool_attrs>(op)) {
    const bp_tensor_desc &x = in(0), &y = grad ? in(1) : out(0);
    planes_ = x.shape[0] * x.shape[1];
    const uint32_t skip = 3 - attrs_.spatial_rank;
    for (uint32_t i = 0; i < attrs_.spatial_rank; ++i) {
      axis_[skip + i] = {x.shape[2 + i], y.shape[2 + i], attrs_.window[i], attrs_.stride[i], attrs_.dilation[i],
                         attrs_.pad_low[i]};
    }
    workspace = dense_bytes(true, true);
  }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    const W* x = load<W>(0, inputs, scratch);
    const W* dy = grad_ ? load<W>(2, inputs, scratch) : nullptr;
    W* result = scratch.take<W>(numel(out(0)));
    std::fill_n(result, numel(out(0)), W{});
    const int64_t x_plane = axis_[0].in * axis_[1].in * axis_[2].in;
    int64_t at = 0;
    for (int64_t plane = 0; plane < planes_; ++plane) {
      for (int64_t od = 0; od < axis_[0].out; ++od) {
        for (int64_t oh = 0; oh < axis_[1].out; ++oh) {
          for (int64_t ow = 0; ow < axis_[2].out; ++ow, ++at) {
            const int64_t o[3] = {od, oh, ow};
            if (grad_) spread(o, x + plane * x_plane, dy[at], result + plane * x_plane);
            else result[at] = window(o, x + plane * x_plane);
          }
        }
      }
    }
    store_dense(out(0), pointer(outputs[0]), result);
  }

 private:
  struct Axis {
    int64_t in = 1, out = 1, window = 1, stride = 1, dilation = 1, pad = 0;
  };

  /// body(index into the plane) for each element of the window inside x; returns how many.
  template <class Body>
  int64_t for_each(const int64_t* o, Body&& body) const {
    int64_t count = 0, k[3], i[3];
    for (k[0] = 0; k[0] < axis_[0].window; ++k[0]) {
      for (k[1] = 0; k[1] < axis_[1].window; ++k[1]) {
        for (k[2] = 0; k[2] < axis_[2].window; ++k[2]) {
          bool inside = true;
          for (int a = 0; a < 3; ++a) {
            i[a] = o[a] * axis_[a].stride - axis_[a].pad + k[a] * axis_[a].dilation;
            inside = inside && i[a] >= 0 && i[a] < axis_[a].in;
          }
          if (!inside) continue;
          ++count;
          body((i[0] * axis_[1].in + i[1]) * axis_[2].in + i[2]);
        }
      }
    }
    return count;
  }
  int64_t divisor(int64_t inside) const {
    if (attrs_.count_padding == 0) return std::max<int64_t>(inside, 1);
    return axis_[0].window * axis_[1].window * axis_[2].window;
  }
  template <class W>
  W lowest() const {
    if constexpr (std::is_floating_point_v<W>) return -std::numeric_limits<W>::infinity();
    else return in(0).dtype == BP_BOOL ? 0 : in(0).dtype == BP_I32 ? INT32_MIN : INT64_MIN;
  }
  /// The first maximum of the window, or -1. A NaN is larger than any number.
  template <class W>
  int64_t first_maximum(const int64_t* o, const W* x) const {
    int64_t best = -1;
    for_each(o, [&](int64_t i) {
      if (best < 0 || (x[best] == x[best] && (x[i] > x[best] || x[i] != x[i]))) best = i;
    });
    return best;
  }
  template <class W>
  W window(const int64_t* o, const W* x) const {
    if (attrs_.kind == BP_POOL_MAX) {
      const int64_t best = first_maximum(o, x);
      return best < 0 ? lowest<W>() : x[best];
    }
    W sum{};
    const int64_t inside = for_each(o, [&](int64_t i) { sum += x[i]; });
    return sum / static_cast<W>(divisor(inside));
  }
  template <class W>
  void spread(const int64_t* o, const W* x, W dy, W* dx) const {
    if (attrs_.kind == BP_POOL_MAX) {
      const int64_t best = first_maximum(o, x);
      if (best >= 0) dx[best] += dy;
      return;
    }
    const int64_t inside = for_each(o, [](int64_t) {});
    for_each(o, [&](int64_t i) { dx[i] += dy / static_cast<W>(divisor(inside)); });
  }

  bool grad_;
  bp_pool_attrs attrs_;
  int64_t planes_;
  Axis axis_[3];
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_pool(const bp_op& op) { return std::make_unique<Pool>(op, false); }
std::unique_ptr<sdk::HostKernel> make_pool_grad(const bp_op& op) { return std::make_unique<Pool>(op, true); }

}  // namespace backplane::reference
