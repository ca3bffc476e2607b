// SPDX-License-Identifier: Apache-2.0
// POOL and POOL_GRAD for the commonest case by far: the maximum over 2 x 2 windows with stride 2 and no padding, f32, rows
// dense. Two input rows give one output row, each value is read once, and no window shares an element with another.
#include <algorithm>

#include "cpu_features.h"
#include "families.h"
#include "pool_pairs.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

struct Plane {
  int64_t image, channel, row, rows, columns;
  explicit Plane(const bp_tensor_desc& d)
      : image(d.strides[0]), channel(d.strides[1]), row(d.strides[2]), rows(d.shape[2]), columns(d.shape[3]) {}
};

bool rows_dense(const bp_tensor_desc& d) { return d.dtype == BP_F32 && (d.strides[3] == 1 || d.shape[3] <= 1); }

class PoolPairs final : public Work {
 public:
  explicit PoolPairs(const Op& op)
      : gradient_(op.code == BP_OP_POOL_GRAD),
        images_(op.in[0].shape[0]),
        channels_(op.in[0].shape[1]),
        x_(op.in[0]),
        y_(gradient_ ? op.in[1] : op.out[0]),
        dy_(gradient_ ? op.in[2] : op.out[0]),
        dx_(op.out[0]) {}

  void run(const Args& args) const override {
    const int64_t plane_bytes = std::max<int64_t>(1, 4 * x_.rows * x_.columns);
    parallel_ranges(images_ * channels_, kParallelBytes / 2 / plane_bytes, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const auto at = [&](char* base, const Plane& plane) {
          return reinterpret_cast<float*>(base) + p / channels_ * plane.image + p % channels_ * plane.channel;
        };
        if (gradient_) {
          backward(at(args.in[0], x_), at(args.in[1], y_), at(args.in[2], dy_), at(args.out[0], dx_));
        } else {
          forward(at(args.in[0], x_), at(args.out[0], y_));
        }
      }
    });
  }

 private:
  void forward(const float* x, float* y) const {
    const auto kernel = isa().pool_max_2x2;
    for (int64_t r = 0; r < y_.rows; ++r) {
      const float* top = x + 2 * r * x_.row;
      kernel(top, top + x_.row, y + r * y_.row, y_.columns);
    }
  }

  void backward(const float* x, const float* y, const float* dy, float* dx) const {
    const auto kernel = isa().pool_max_2x2_grad;
    for (int64_t r = 0; r < y_.rows; ++r) {
      const float* top = x + 2 * r * x_.row;
      float* dtop = dx + 2 * r * dx_.row;
      kernel(top, top + x_.row, y + r * y_.row, dy + r * dy_.row, dtop, dtop + dx_.row, y_.columns);
    }
    // What no window covers: the last column and row of odd extents.
    for (int64_t r = 0; r < dx_.rows; ++r) {
      float* row = dx + r * dx_.row;
      std::fill(row + (r < 2 * y_.rows ? 2 * y_.columns : 0), row + dx_.columns, 0.0f);
    }
  }

  bool gradient_;
  int64_t images_, channels_;
  Plane x_, y_, dy_, dx_;
};

}  // namespace

bool is_pool_pairs(const Op& op) {
  const bp_pool_attrs& a = op.attrs.pool;
  if (a.kind != BP_POOL_MAX || a.spatial_rank != 2) return false;
  for (int i = 0; i < 2; ++i) {
    if (a.window[i] != 2 || a.stride[i] != 2 || a.dilation[i] != 1 || a.pad_low[i] != 0 || a.pad_high[i] != 0) return false;
  }
  return std::all_of(op.in.begin(), op.in.end(), rows_dense) && rows_dense(op.out[0]);
}

std::shared_ptr<Work> make_pool_pairs(const Op& op) { return std::make_shared<PoolPairs>(op); }

}  // namespace backplane::cpu
