// SPDX-License-Identifier: Apache-2.0
// CONVOLUTION and its two gradients. All three are one walk over (filter element, row of y): what differs is which of
// x, w and y is added up. Fewer spatial axes than three are padded with extents of 1 in front.
#include <algorithm>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

enum class Goal { y, x, w };

class Convolution final : public TypedKernel<Convolution> {
 public:
  explicit Convolution(const bp_op& op) : TypedKernel(op), goal_(goal_of(op.code)) {
    const auto& a = sdk::attrs<bp_convolution_attrs>(op);
    const bp_tensor_desc& x = goal_ == Goal::x ? out(0) : in(0);
    const bp_tensor_desc& w = goal_ == Goal::w ? out(0) : in(1);
    const bp_tensor_desc& y = goal_ == Goal::y ? out(0) : in(goal_ == Goal::x ? 0 : 1);
    batch_ = x.shape[0];
    groups_ = a.groups;
    in_channels_ = x.shape[1] / groups_;
    out_channels_ = w.shape[0] / groups_;
    const uint32_t skip = 3 - a.spatial_rank;
    for (uint32_t i = 0; i < a.spatial_rank; ++i) {
      axis_[skip + i] = {x.shape[2 + i], w.shape[2 + i], y.shape[2 + i], a.stride[i], a.dilation[i], a.pad_low[i]};
    }
    workspace = dense_bytes(true, true) + epilogue_bytes(numel(out(0)));
  }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    // Unsigned arithmetic wraps where signed would be undefined; the bits are the same.
    using A = std::conditional_t<std::is_same_v<W, double>, double, uint64_t>;
    W* first = load<W>(0, inputs, scratch);
    W* second = load<W>(1, inputs, scratch);
    W* result = scratch.take<W>(numel(out(0)));
    std::fill_n(result, numel(out(0)), W{});
    const auto as = [](W* p) { return reinterpret_cast<A*>(p); };
    switch (goal_) {
      case Goal::y:
        walk([x = as(first), w = as(second), y = as(result)](int64_t wi, int64_t xi, int64_t xs, int64_t yi,
              int64_t n) {
          for (int64_t i = 0; i < n; ++i) y[yi + i] += w[wi] * x[xi + i * xs];
        });
        break;
      case Goal::x:
        walk([y = as(first), w = as(second), x = as(result)](int64_t wi, int64_t xi, int64_t xs, int64_t yi,
              int64_t n) {
          for (int64_t i = 0; i < n; ++i) x[xi + i * xs] += w[wi] * y[yi + i];
        });
        break;
      case Goal::w:
        walk([x = as(first), y = as(second), w = as(result)](int64_t wi, int64_t xi, int64_t xs, int64_t yi,
              int64_t n) {
          A sum{};
          for (int64_t i = 0; i < n; ++i) sum += y[yi + i] * x[xi + i * xs];
          w[wi] += sum;
        });
        break;
    }
    finish(result, inputs, outputs, scratch);
  }

 private:
  struct Axis {
    int64_t in = 1, filter = 1, out = 1, stride = 1, dilation = 1, pad = 0;
    int64_t position(int64_t o, int64_t k) const { return o * stride - pad + k * dilation; }
  };
  static Goal goal_of(uint32_t code) {
    return code == BP_OP_CONVOLUTION ? Goal::y : code == BP_OP_CONVOLUTION_GRAD_DATA ? Goal::x : Goal::w;
  }

  /// body(w index, x index, x stride, y index, count): for each filter element, image and row of y inside x.
  template <class Body>
  void walk(Body&& body) const {
    const int64_t x_plane = axis_[0].in * axis_[1].in * axis_[2].in;
    const int64_t y_plane = axis_[0].out * axis_[1].out * axis_[2].out;
    for (int64_t n = 0; n < batch_; ++n) {
      for (int64_t o = 0; o < groups_ * out_channels_; ++o) {
        const int64_t group = o / out_channels_;
        for (int64_t c = 0; c < in_channels_; ++c) {
          const int64_t x_at = (n * groups_ * in_channels_ + group * in_channels_ + c) * x_plane;
          const int64_t y_at = (n * groups_ * out_channels_ + o) * y_plane;
          walk_plane(x_at, y_at, o * in_channels_ + c, body);
        }
      }
    }
  }
  template <class Body>
  void walk_plane(int64_t x_at, int64_t y_at, int64_t filter, Body& body) const {
    const Axis &d = axis_[0], &h = axis_[1], &w = axis_[2];
    for (int64_t kd = 0; kd < d.filter; ++kd) {
      for (int64_t kh = 0; kh < h.filter; ++kh) {
        for (int64_t kw = 0; kw < w.filter; ++kw) {
          // Columns whose element of x exists: 0 <= ow * stride + first < in.
          const int64_t first = w.position(0, kw);
          const int64_t low = first < 0 ? (-first + w.stride - 1) / w.stride : 0;
          const int64_t high = first >= w.in ? 0 : std::min(w.out, (w.in - 1 - first) / w.stride + 1);
          if (low >= high) continue;
          const int64_t w_at = ((filter * d.filter + kd) * h.filter + kh) * w.filter + kw;
          for (int64_t od = 0; od < d.out; ++od) {
            const int64_t id = d.position(od, kd);
            if (id < 0 || id >= d.in) continue;
            for (int64_t oh = 0; oh < h.out; ++oh) {
              const int64_t ih = h.position(oh, kh);
              if (ih < 0 || ih >= h.in) continue;
              body(w_at, x_at + (id * h.in + ih) * w.in + first + low * w.stride, w.stride,
                   y_at + (od * h.out + oh) * w.out + low, high - low);
            }
          }
        }
      }
    }
  }

  Goal goal_;
  int64_t batch_, groups_, in_channels_, out_channels_;
  Axis axis_[3];
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_convolution(const bp_op& op) { return std::make_unique<Convolution>(op); }

}  // namespace backplane::reference
