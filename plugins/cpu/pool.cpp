// SPDX-License-Identifier: Apache-2.0
// POOL and POOL_GRAD over any strides, f32 (half types by way of f32).
//
// Forward goes tap by tap over whole rows of outputs, which is vector code. The gradient of an average does the same
// backwards; that of a maximum looks for the first tap that holds the maximum. Threads share (image, channel) planes.
#include <algorithm>
#include <limits>

#include "cpu_features.h"
#include "families.h"
#include "pool.h"
#include "pool_pairs.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kRow = 512;  // outputs at a time

struct Plane {
  int64_t extent[3], stride[3], batch, channel;
  Plane(const bp_tensor_desc& desc, uint32_t spatial) {
    batch = desc.strides[0], channel = desc.strides[1];
    for (uint32_t i = 0; i < 3; ++i) {
      const int s = static_cast<int>(i) - static_cast<int>(3 - spatial);
      extent[i] = s < 0 ? 1 : desc.shape[2 + s];
      stride[i] = s < 0 ? 0 : desc.strides[2 + s];
    }
  }
};

class Pool final : public Work {
 public:
  explicit Pool(const Op& op)
      : a_(op.attrs.pool),
        gradient_(op.code == BP_OP_POOL_GRAD),
        images_(op.in[0].shape[0]),
        channels_(op.in[0].shape[1]),
        x_(op.in[0], a_.spatial_rank),
        y_(gradient_ ? op.in[1] : op.out[0], a_.spatial_rank),
        dy_(gradient_ ? op.in[2] : op.out[0], a_.spatial_rank),
        dx_(op.out[0], a_.spatial_rank) {
    const int missing = 3 - static_cast<int>(a_.spatial_rank);
    for (int i = 0; i < 3; ++i) {
      const int s = i - missing;
      window_[i] = s < 0 ? 1 : a_.window[s];
      stride_[i] = s < 0 ? 1 : a_.stride[s];
      dilation_[i] = s < 0 ? 1 : a_.dilation[s];
      pad_[i] = s < 0 ? 0 : a_.pad_low[s];
    }
  }

  void run(const Args& args) const override {
    const int64_t outputs = y_.extent[0] * y_.extent[1] * y_.extent[2];
    const int64_t inputs = x_.extent[0] * x_.extent[1] * x_.extent[2];
    const int64_t plane_bytes = std::max<int64_t>(1, 4 * (outputs * window_[0] * window_[1] * window_[2] + inputs));
    parallel_ranges(images_ * channels_, kParallelBytes / 2 / plane_bytes, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t n = p / channels_, c = p % channels_;
        const auto at = [&](char* base, const Plane& plane) {
          return reinterpret_cast<float*>(base) + n * plane.batch + c * plane.channel;
        };
        if (!gradient_) forward(at(args.in[0], x_), at(args.out[0], y_));
        else backward(at(args.in[0], x_), at(args.in[1], y_), at(args.in[2], dy_), at(args.out[0], dx_));
      }
    });
  }

 private:
  bool maximum() const { return a_.kind == BP_POOL_MAX; }

  /// Calls f(z, y, first, n) for stretches of at most kRow outputs.
  template <class F>
  void each_stretch(F&& f) const {
    for (int64_t z = 0; z < y_.extent[0]; ++z) {
      for (int64_t y = 0; y < y_.extent[1]; ++y) {
        for (int64_t first = 0; first < y_.extent[2]; first += kRow)
          f(z, y, first, std::min(kRow, y_.extent[2] - first));
      }
    }
  }
  /// Calls f(begin, end, offset in `plane` of output `begin`'s element) for every tap with outputs [begin, end) of the
  /// stretch inside, in row-major order of the window.
  template <class F>
  void each_tap(const Plane& plane, int64_t z, int64_t y, int64_t first, int64_t n, F&& f) const {
    for (int64_t k0 = 0; k0 < window_[0]; ++k0) {
      const int64_t i0 = z * stride_[0] + k0 * dilation_[0] - pad_[0];
      if (i0 < 0 || i0 >= x_.extent[0]) continue;
      for (int64_t k1 = 0; k1 < window_[1]; ++k1) {
        const int64_t i1 = y * stride_[1] + k1 * dilation_[1] - pad_[1];
        if (i1 < 0 || i1 >= x_.extent[1]) continue;
        for (int64_t k2 = 0; k2 < window_[2]; ++k2) {
          const int64_t i2 = first * stride_[2] + k2 * dilation_[2] - pad_[2], s = stride_[2];
          const int64_t begin = i2 < 0 ? std::min(n, (-i2 + s - 1) / s) : 0;
          const int64_t end = i2 >= x_.extent[2] ? 0 : std::min(n, (x_.extent[2] - 1 - i2) / s + 1);
          if (begin >= end) continue;
          f(begin, end, i0 * plane.stride[0] + i1 * plane.stride[1] + (i2 + begin * s) * plane.stride[2]);
        }
      }
    }
  }
  /// 1 / what an average divides by, for each output of a stretch.
  void factors(int64_t z, int64_t y, int64_t first, int64_t n, float* factor) const {
    if (a_.count_padding != 0) {
      std::fill_n(factor, n, 1.0f / static_cast<float>(window_[0] * window_[1] * window_[2]));
      return;
    }
    std::fill_n(factor, n, 0.0f);
    each_tap(x_, z, y, first, n, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) factor[i] += 1.0f;
    });
    for (int64_t i = 0; i < n; ++i) factor[i] = factor[i] > 0 ? 1.0f / factor[i] : 0.0f;
  }

  void forward(const float* x, float* y) const {
    const IsaTable& t = isa();
    const int64_t step = stride_[2] * x_.stride[2];
    each_stretch([&](int64_t z, int64_t row, int64_t first, int64_t n) {
      float sums[kRow];
      std::fill_n(sums, n, maximum() ? -std::numeric_limits<float>::infinity() : 0.0f);
      each_tap(x_, z, row, first, n, [&](int64_t begin, int64_t end, int64_t offset) {
        (maximum() ? t.pool_max : t.pool_add)(sums + begin, x + offset, step, end - begin);
      });
      if (!maximum()) {
        float factor[kRow];
        factors(z, row, first, n, factor);
        for (int64_t i = 0; i < n; ++i) sums[i] *= factor[i];
      }
      float* target = y + z * y_.stride[0] + row * y_.stride[1] + first * y_.stride[2];
      for (int64_t i = 0; i < n; ++i) target[i * y_.stride[2]] = sums[i];
    });
  }

  void backward(const float* x, const float* y, const float* dy, float* dx) const {
    for (int64_t z = 0; z < x_.extent[0]; ++z) {
      for (int64_t r = 0; r < x_.extent[1]; ++r) {
        float* row = dx + z * dx_.stride[0] + r * dx_.stride[1];
        for (int64_t i = 0; i < x_.extent[2]; ++i) row[i * dx_.stride[2]] = 0.0f;
      }
    }
    each_stretch([&](int64_t z, int64_t row, int64_t first, int64_t n) {
      const float* g = dy + z * dy_.stride[0] + row * dy_.stride[1] + first * dy_.stride[2];
      const int64_t step_dx = stride_[2] * dx_.stride[2], step_x = stride_[2] * x_.stride[2];
      float pending[kRow];
      if (!maximum()) {
        factors(z, row, first, n, pending);
        for (int64_t i = 0; i < n; ++i) pending[i] *= g[i * dy_.stride[2]];
        each_tap(dx_, z, row, first, n, [&](int64_t begin, int64_t end, int64_t offset) {
          for (int64_t i = begin; i < end; ++i) dx[offset + (i - begin) * step_dx] += pending[i];
        });
        return;
      }
      // `taken`: the first maximum of this output has been found.
      const float* top = y + z * y_.stride[0] + row * y_.stride[1] + first * y_.stride[2];
      bool taken[kRow] = {};
      each_tap(x_, z, row, first, n, [&](int64_t begin, int64_t end, int64_t offset) {
        const int64_t target = offset;  // list_pool_grad has given x and dx the same spatial strides
        for (int64_t i = begin; i < end; ++i) {
          const float value = x[offset + (i - begin) * step_x], best = top[i * y_.stride[2]];
          const bool hit = !taken[i] && (value == best || (value != value && best != best));
          if (hit) dx[target + (i - begin) * step_dx] += g[i * dy_.stride[2]];
          taken[i] = taken[i] || hit;
        }
      });
    });
  }
  bp_pool_attrs a_;
  bool gradient_;
  int64_t images_, channels_;
  Plane x_, y_, dy_, dx_;
  int64_t window_[3], stride_[3], dilation_[3], pad_[3];
};

void list_plain(const Op& op, Candidates& out) {
  const bool pairs = is_pool_pairs(op);
  if (pairs) out.push_back(ready("pairs", make_pool_pairs(op)));
  out.push_back(ready("taps", std::make_shared<Pool>(op), pairs ? 8 : 1));
}

}  // namespace

std::string refuse_pool(const Op& op) {
  for (const bp_tensor_desc& desc : op.in) {
    if (desc.dtype != BP_F32 && !is_half(desc.dtype))
      return std::string(sdk::dtype_name(desc.dtype)) + " operands; it decomposes";
    if (desc.dtype != op.out[0].dtype) return "operands of different dtypes";
  }
  return {};
}
WorkPtr make_own_pool(const Op& op) {
  Candidates own;
  list_plain(op, own);
  return own.front().build();
}

void list_pool(const Op& op, Candidates& out) {
  list_via_f32(op, list_plain, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_pool(op, out.back().prior, out);
#endif
}
void list_pool_grad(const Op& op, Candidates& out) {
  // x and dx are walked together: give them the same strides.
  Op same = op;
  const auto widen = [](bp_tensor_desc& desc) {
    if (is_half(desc.dtype)) desc = dense_like(desc, BP_F32);
  };
  for (bp_tensor_desc& desc : same.in) widen(desc);
  widen(same.out[0]);
  for (uint32_t i = 2; i < same.in[0].rank; ++i) {
    if (same.in[0].strides[i] != same.out[0].strides[i]) {
      same.in[0] = dense_like(same.in[0], BP_F32);
      same.out[0] = dense_like(same.out[0], BP_F32);
      break;
    }
  }
  list_via_copies(op, same, is_half(op.out[0].dtype) ? "f32-" : "", list_plain, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_pool(op, out.back().prior, out);
#endif
}

}  // namespace backplane::cpu
