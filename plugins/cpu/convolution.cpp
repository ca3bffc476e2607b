// SPDX-License-Identifier: Apache-2.0
// CONVOLUTION and its two gradients: which implementations there are, and the generic one by im2col.
//
// im2col: for a tile of output positions the input elements under every filter tap are laid out as the columns of a
// matrix; the convolution is then a matrix product per image, group and tile. Going back, the product's columns are
// added up into the input's gradient. Tiles are sized for the second-level cache. Threads share images and tiles
// (forward), images and groups (data gradient), or have a filter gradient each, added up in order at the end.
#include "convolution.h"

#include <algorithm>
#include <cstring>

#include "cpu_features.h"
#include "families.h"
#include "matmul.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {

ConvolutionProblem::ConvolutionProblem(const Op& op) {
  const bp_convolution_attrs& a = op.attrs.convolution;
  const bool data = op.code == BP_OP_CONVOLUTION_GRAD_DATA, filter = op.code == BP_OP_CONVOLUTION_GRAD_FILTER;
  x = data ? op.out[0] : op.in[0];
  w = filter ? op.out[0] : op.in[1];
  y = data ? op.in[0] : filter ? op.in[1] : op.out[0];
  n = x.shape[0], c = x.shape[1], o = y.shape[1], groups = a.groups;
  const int missing = 3 - static_cast<int>(a.spatial_rank);
  for (int i = 0; i < 3; ++i) {
    const int s = i - missing;
    in[i] = s < 0 ? 1 : x.shape[2 + s];
    out[i] = s < 0 ? 1 : y.shape[2 + s];
    kernel[i] = s < 0 ? 1 : w.shape[2 + s];
    stride[i] = s < 0 ? 1 : a.stride[s];
    dilation[i] = s < 0 ? 1 : a.dilation[s];
    pad[i] = s < 0 ? 0 : a.pad_low[s];
    x_stride[i] = s < 0 ? 0 : x.strides[2 + s];
  }
}

namespace {

constexpr int64_t kTileBytes = 384 * 1024;

/// A run of output positions along the last spatial axis that a tap maps into x: columns [column, column + count).
struct Run {
  int64_t column, count, offset;  // offset of the first element in x; < 0 extents are outside
};

class Im2col final : public Work {
 public:
  explicit Im2col(const Op& op) : p_(op), code_(op.code), rows_(p_.group_channels() * p_.taps()) {
    const int64_t positions = std::max<int64_t>(1, p_.positions());
    tile_ = std::clamp<int64_t>(kTileBytes / 4 / std::max<int64_t>(1, rows_) / 16 * 16, 64, 4096);
    tile_ = std::min(tile_, positions);
    tiles_ = (positions + tile_ - 1) / tile_;
    direct_ =
        p_.taps() == 1 && p_.x_stride[0] == p_.in[1] * p_.x_stride[1] && p_.x_stride[1] == p_.in[2] * p_.x_stride[2];
    for (int i = 0; i < 3; ++i) direct_ = direct_ && p_.stride[i] == 1 && p_.pad[i] == 0 && p_.in[i] == p_.out[i];
    units_ = p_.n * p_.groups * (code_ == BP_OP_CONVOLUTION ? tiles_ : 1);
    if (code_ == BP_OP_CONVOLUTION_GRAD_FILTER) units_ = p_.n * tiles_;
    workers_ = std::max<int64_t>(1, std::min<int64_t>(units_, p_.flops() < kParallelFlops ? 1 : thread_count()));
    columns_bytes_ = round_up(static_cast<uint64_t>(rows_ * tile_) * 4);
    pack_bytes_ = round_up(static_cast<uint64_t>(isa().gemm_pack_bytes));
    filter_bytes_ = code_ == BP_OP_CONVOLUTION_GRAD_FILTER ? round_up(static_cast<uint64_t>(p_.o * rows_) * 4) : 0;
    workspace = static_cast<uint64_t>(workers_) * (columns_bytes_ + pack_bytes_ + filter_bytes_);
  }

  void run(const Args& args) const override {
    auto* x = reinterpret_cast<const float*>(args.in[0]);
    auto* second = reinterpret_cast<const float*>(args.in[1]);
    auto* result = reinterpret_cast<float*>(args.out[0]);
    if (code_ == BP_OP_CONVOLUTION_GRAD_FILTER) return run_filter(x, second, result, args.workspace);
    parallel_tasks(workers_, [&](int64_t worker) {
      float* columns = columns_of(args.workspace, worker);
      void* pack = reinterpret_cast<char*>(columns) + columns_bytes_;
      const int64_t end = units_ * (worker + 1) / workers_;
      for (int64_t u = units_ * worker / workers_; u < end; ++u) {
        if (code_ == BP_OP_CONVOLUTION) forward(x, second, result, u, columns, pack);
        else data_gradient(x, second, result, u, columns, pack);
      }
    });
  }

 private:
  uint64_t worker_bytes() const { return columns_bytes_ + pack_bytes_ + filter_bytes_; }
  float* columns_of(char* workspace, int64_t worker) const {
    return reinterpret_cast<float*>(workspace + static_cast<uint64_t>(worker) * worker_bytes());
  }
  int64_t x_offset(int64_t image, int64_t group) const {
    return image * p_.x.strides[0] + group * p_.group_channels() * p_.x.strides[1];
  }
  int64_t y_offset(int64_t image, int64_t group) const {
    return (image * p_.o + group * p_.group_filters()) * p_.positions();
  }

  /// Calls f(row of the column matrix, Run) for every stretch inside x, and zero(row, first, count) for the rest.
  template <class F, class Z>
  void each_run(int64_t begin, int64_t count, F&& f, Z&& zero) const {
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t tap = row % p_.taps(), channel = row / p_.taps();
      const int64_t q2 = tap % p_.kernel[2], q1 = tap / p_.kernel[2] % p_.kernel[1],
                    q0 = tap / p_.kernel[2] / p_.kernel[1];
      for (int64_t done = 0; done < count;) {
        const int64_t position = begin + done;
        const int64_t o2 = position % p_.out[2], o1 = position / p_.out[2] % p_.out[1],
                      o0 = position / p_.out[2] / p_.out[1];
        const int64_t m = std::min(p_.out[2] - o2, count - done);
        const int64_t i0 = o0 * p_.stride[0] + q0 * p_.dilation[0] - p_.pad[0];
        const int64_t i1 = o1 * p_.stride[1] + q1 * p_.dilation[1] - p_.pad[1];
        const int64_t i2 = o2 * p_.stride[2] + q2 * p_.dilation[2] - p_.pad[2];
        // Columns [low, high) of the stretch have 0 <= i2 + j * stride < in.
        const int64_t s = p_.stride[2];
        int64_t low = i2 < 0 ? std::min(m, (-i2 + s - 1) / s) : 0;
        int64_t high = i2 >= p_.in[2] ? 0 : std::min(m, (p_.in[2] - 1 - i2) / s + 1);
        if (i0 < 0 || i0 >= p_.in[0] || i1 < 0 || i1 >= p_.in[1] || high <= low) low = high = m;
        if (low > 0) zero(row, done, low);
        if (high > low) {
          f(row, Run{done + low, high - low,
                     channel * p_.x.strides[1] + i0 * p_.x_stride[0] + i1 * p_.x_stride[1] +
                         (i2 + low * s) * p_.x_stride[2]});
        }
        if (high < m) zero(row, done + high, m - high);
        done += m;
      }
    }
  }
  /// columns[row, position] of one image and group, dense with `count` columns.
  void to_columns(const float* x, int64_t begin, int64_t count, float* columns) const {
    const int64_t step = p_.stride[2] * p_.x_stride[2];
    each_run(
        begin, count,
        [&](int64_t row, const Run& run) {
          float* target = columns + row * count + run.column;
          const float* source = x + run.offset;
          if (step == 1)
            std::memcpy(target, source, static_cast<size_t>(run.count) * 4);
          else
            for (int64_t j = 0; j < run.count; ++j) target[j] = source[j * step];
        },
        [&](int64_t row, int64_t first, int64_t n) {
          std::memset(columns + row * count + first, 0, static_cast<size_t>(n) * 4);
        });
  }
  void add_columns(float* dx, int64_t begin, int64_t count, const float* columns) const {
    const int64_t step = p_.stride[2] * p_.x_stride[2];
    each_run(
        begin, count,
        [&](int64_t row, const Run& run) {
          const float* source = columns + row * count + run.column;
          float* target = dx + run.offset;
          for (int64_t j = 0; j < run.count; ++j) target[j * step] += source[j];
        },
        [](int64_t, int64_t, int64_t) {});
  }

  void forward(const float* x, const float* w, float* y, int64_t unit, float* columns, void* pack) const {
    const int64_t tile = unit % tiles_, image = unit / tiles_ / p_.groups, group = unit / tiles_ % p_.groups;
    const int64_t begin = tile * tile_, count = std::min(tile_, p_.positions() - begin);
    if (count <= 0) return;
    const float* base = x + x_offset(image, group);
    const float* b = columns;
    int64_t b_row = count, b_column = 1;
    if (direct_) b = base + begin * p_.x_stride[2], b_row = p_.x.strides[1], b_column = p_.x_stride[2];
    else to_columns(base, begin, count, columns);
    gemm_serial(p_.group_filters(), count, rows_, w + group * p_.group_filters() * rows_, rows_, 1, b, b_row, b_column,
                y + y_offset(image, group) + begin, p_.positions(), 1, false, pack);
  }
  void data_gradient(const float* dy, const float* w, float* dx, int64_t unit, float* columns, void* pack) const {
    const int64_t image = unit / p_.groups, group = unit % p_.groups;
    float* target = dx + x_offset(image, group);  // dense: see list_im2col
    std::memset(target, 0, static_cast<size_t>(p_.group_channels() * p_.in[0] * p_.in[1] * p_.in[2]) * 4);
    const float* weights = w + group * p_.group_filters() * rows_;
    for (int64_t begin = 0; begin < p_.positions(); begin += tile_) {
      const int64_t count = std::min(tile_, p_.positions() - begin);
      const float* source = dy + y_offset(image, group) + begin;
      if (direct_) {
        gemm_serial(rows_, count, p_.group_filters(), weights, 1, rows_, source, p_.positions(), 1, target + begin,
                    p_.x.strides[1], 1, false, pack);
        continue;
      }
      gemm_serial(rows_, count, p_.group_filters(), weights, 1, rows_, source, p_.positions(), 1, columns, count, 1,
                  false, pack);
      add_columns(target, begin, count, columns);
    }
  }
  void run_filter(const float* x, const float* dy, float* dw, char* workspace) const {
    const int64_t filters = p_.group_filters();
    parallel_tasks(workers_, [&](int64_t worker) {
      float* columns = columns_of(workspace, worker);
      void* pack = reinterpret_cast<char*>(columns) + columns_bytes_;
      float* sums = reinterpret_cast<float*>(static_cast<char*>(pack) + pack_bytes_);
      std::memset(sums, 0, static_cast<size_t>(p_.o * rows_) * 4);
      const int64_t end = units_ * (worker + 1) / workers_;
      for (int64_t u = units_ * worker / workers_; u < end; ++u) {
        const int64_t image = u / tiles_, begin = u % tiles_ * tile_, count = std::min(tile_, p_.positions() - begin);
        for (int64_t group = 0; group < p_.groups && count > 0; ++group) {
          to_columns(x + x_offset(image, group), begin, count, columns);
          gemm_serial(filters, rows_, count, dy + y_offset(image, group) + begin, p_.positions(), 1, columns, 1, count,
                      sums + group * filters * rows_, rows_, 1, true, pack);
        }
      }
    });
    const int64_t size = p_.o * rows_;
    parallel_ranges(size, kParallelBytes / 8, [&](int64_t begin, int64_t end) {
      const auto sums = [&](int64_t worker) {
        return reinterpret_cast<const float*>(workspace + static_cast<uint64_t>(worker) * worker_bytes() +
                                              columns_bytes_ + pack_bytes_);
      };
      std::memcpy(dw + begin, sums(0) + begin, static_cast<size_t>(end - begin) * 4);
      for (int64_t worker = 1; worker < workers_; ++worker) {
        isa().reduce_columns[0][kF32](sums(worker) + begin, end - begin, dw + begin);
      }
    });
  }

  ConvolutionProblem p_;
  uint32_t code_;
  int64_t rows_, tile_, tiles_, units_, workers_;
  uint64_t columns_bytes_, pack_bytes_, filter_bytes_;
  bool direct_;
};

void list_plain(const Op& op, Candidates& out) {
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_convolution(op, out);
  list_onednn_product(op, out);
#endif
  // The generic kernel takes f32 with w, y and dx dense; everything else is copied there.
  Op dense = op;
  for (size_t i = 0; i < dense.in.size(); ++i) {
    const bool is_x = op.code != BP_OP_CONVOLUTION_GRAD_DATA && i == 0;
    if (!is_x || is_half(dense.in[i].dtype)) dense.in[i] = dense_like(dense.in[i], BP_F32);
  }
  dense.out[0] = dense_like(dense.out[0], BP_F32);
  const bool half = is_half(op.in[0].dtype) || is_half(op.out[0].dtype);
  list_via_copies(op, dense, half ? "f32-" : "", list_im2col, out);
}

}  // namespace

void list_im2col(const Op& op, Candidates& out) { out.push_back(ready("im2col", std::make_shared<Im2col>(op), 1.3)); }

std::string refuse_convolution(const Op& op) {
  for (uint32_t i = 0; i < 2; ++i) {
    if (op.in[i].dtype != BP_F32 && !is_half(op.in[i].dtype)) {
      return std::string(sdk::dtype_name(op.in[i].dtype)) + " operands; it decomposes";
    }
  }
  return op.program ? refuse_epilogue(op, 2) : std::string();
}

void list_convolution(const Op& op, Candidates& out) {
  if (!op.program) return list_plain(op, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_convolution(op, out);
#endif
  list_with_epilogue(op, 2, list_plain, out);
}

}  // namespace backplane::cpu
