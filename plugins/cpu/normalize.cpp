// SPDX-License-Identifier: Apache-2.0
// NORMALIZE and NORMALIZE_GRAD in f32 (half types by way of f32), one group of statistics at a time.
//
// A group is a set of stretches, dense in x and y. Its mean and squared distances are taken in two passes and combined
// over the stretches in f64 (Chan, Golub and LeVeque, 1979). Threads share the groups.
// Not here: x whose fastest axis is not normalised over (batch norm with channels last), and gradients of scale and
// shift that are neither one number a group nor one a position in the group; those decompose.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu_features.h"
#include "families.h"
#include "normalize.h"
#include "pointwise.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kBlock = 1024;

/// The axes of a mask (or the others) of several operands, as merged loops led by operand 0.
Space part_of(const std::vector<bp_tensor_desc>& operands, uint32_t axes, bool inside) {
  std::vector<bp_tensor_desc> parts;
  for (const bp_tensor_desc& desc : operands) {
    bp_tensor_desc part{};
    part.dtype = desc.dtype;
    for (uint32_t i = 0; i < desc.rank; ++i) {
      if (((axes >> i & 1u) != 0) != inside) continue;
      part.shape[part.rank] = operands[0].shape[i];
      // An extent of 1 against a longer one is shared.
      part.strides[part.rank++] = desc.shape[i] == 1 && operands[0].shape[i] != 1 ? 0 : desc.strides[i];
    }
    parts.push_back(part);
  }
  const std::vector<bp_tensor_desc> lead{parts[0]};
  return collapse_space(parts, lead);
}
int64_t offset_at(const Space& space, size_t operand, int64_t flat, int last) {
  int64_t offset = 0;
  for (int d = last; d-- > 0;) {
    offset += flat % space.extent[d] * space.strides[operand][d];
    flat /= space.extent[d];
  }
  return offset;
}

/// A block of an operand along a stretch as dense memory: in place, filled, or gathered.
const float* block_of(const float* base, int64_t stride, int64_t n, float* buffer) {
  if (stride == 1) return base;
  if (stride == 0) isa().fill[2](buffer, base, n);
  else isa().gather[2](buffer, base, stride, n);
  return buffer;
}

class Groups {
 public:
  Groups(const std::vector<bp_tensor_desc>& operands, uint32_t axes)
      : kept(part_of(operands, axes, false)), inside(part_of(operands, axes, true)) {
    length = inside.extent[inside.rank - 1];
    stretches = length == 0 ? 0 : inside.count / length;
  }
  int64_t group(size_t operand, int64_t index) const { return offset_at(kept, operand, index, kept.rank); }
  int64_t stretch(size_t operand, int64_t index) const { return offset_at(inside, operand, index, inside.rank - 1); }
  int64_t stride(size_t operand) const { return inside.strides[operand][inside.rank - 1]; }
  int64_t grain() const { return std::max<int64_t>(1, kParallelBytes / 2 / std::max<int64_t>(1, inside.count * 12)); }
  Space kept, inside;
  int64_t length, stretches;
};

class Normalize final : public Work {
 public:
  enum { kX, kScale, kShift, kY, kMean, kRstd };
  explicit Normalize(const Op& op)
      : groups_(operands(op), op.attrs.normalize.axes), rms_(op.attrs.normalize.kind == BP_NORMALIZE_RMS),
        epsilon_(op.attrs.normalize.epsilon), statistics_(op.out.size() == 3) {}
  static std::vector<bp_tensor_desc> operands(const Op& op) {
    std::vector<bp_tensor_desc> all = op.in;
    all.insert(all.end(), op.out.begin(), op.out.end());
    return all;
  }
  void run(const Args& args) const override {
    parallel_ranges(groups_.kept.count, groups_.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) run_group(args, g);
    });
  }

 private:
  void run_group(const Args& args, int64_t g) const {
    const auto at = [&](char* base, size_t operand) {
      return reinterpret_cast<float*>(base) + groups_.group(operand, g);
    };
    const float* x = at(args.in[0], kX);
    double mean = 0, m2 = 0, count = 0;
    for (int64_t s = 0; s < groups_.stretches; ++s) {
      const float* row = x + groups_.stretch(kX, s);
      double row_mean = 0, row_m2 = 0;
      if (rms_) isa().sum_squares(row, groups_.length, &row_m2);
      else isa().moments(row, groups_.length, &row_mean, &row_m2);
      const double n = static_cast<double>(groups_.length), delta = row_mean - mean;
      m2 += row_m2 + delta * delta * count * n / (count + n);
      mean += delta * n / (count + n);
      count += n;
    }
    const float rstd = static_cast<float>(1.0 / std::sqrt(m2 / count + epsilon_)), center = static_cast<float>(mean);
    if (statistics_) *at(args.out[1], kMean) = center, *at(args.out[2], kRstd) = rstd;
    const float *scale = at(args.in[1], kScale), *shift = at(args.in[2], kShift);
    float* y = at(args.out[0], kY);
    float scales[kBlock], shifts[kBlock];
    for (int64_t s = 0; s < groups_.stretches; ++s) {
      const int64_t ox = groups_.stretch(kX, s), oy = groups_.stretch(kY, s);
      const float *sc = scale + groups_.stretch(kScale, s), *sh = shift + groups_.stretch(kShift, s);
      for (int64_t i = 0; i < groups_.length; i += kBlock) {
        const int64_t n = std::min(kBlock, groups_.length - i);
        isa().normalize(x + ox + i, block_of(sc + i * groups_.stride(kScale), groups_.stride(kScale), n, scales),
                        block_of(sh + i * groups_.stride(kShift), groups_.stride(kShift), n, shifts), center, rstd,
                        y + oy + i, n);
      }
    }
  }

  Groups groups_;
  bool rms_;
  double epsilon_;
  bool statistics_;
};

/// Gradients of scale and shift: one number a group, or (`columns`) one a position, summed over the groups.
class NormalizeGrad final : public Work {
 public:
  enum { kX, kDy, kMean, kRstd, kScale, kDx, kDscale, kDshift };
  NormalizeGrad(const Op& op, bool columns)
      : groups_(operands(op), op.attrs.normalize.axes),
        rms_(op.attrs.normalize.kind == BP_NORMALIZE_RMS),
        columns_(columns) {
    workers_ = std::max<int64_t>(
        1, std::min<int64_t>(thread_count(), (groups_.kept.count + groups_.grain() - 1) / groups_.grain()));
    sums_ = round_up(static_cast<uint64_t>(groups_.inside.count) * 4);
    workspace = columns_ ? static_cast<uint64_t>(workers_) * 2 * sums_ : 0;
  }
  static std::vector<bp_tensor_desc> operands(const Op& op) {
    return {op.in[1], op.in[0], op.in[2], op.in[3], op.in[4], op.out[0], op.out[1], op.out[2]};
  }
  void run(const Args& args) const override {
    parallel_tasks(workers_, [&](int64_t worker) {
      if (columns_) std::memset(args.workspace + static_cast<uint64_t>(worker) * 2 * sums_, 0, 2 * sums_);
      const int64_t end = groups_.kept.count * (worker + 1) / workers_;
      for (int64_t g = groups_.kept.count * worker / workers_; g < end; ++g) run_group(args, g, worker);
    });
    if (!columns_) return;
    for (int64_t i = 0; i < groups_.inside.count; ++i) {
      double scale = 0, shift = 0;
      for (int64_t worker = 0; worker < workers_; ++worker) {
        scale += sums_of(args, worker, 0)[i], shift += sums_of(args, worker, 1)[i];
      }
      const int64_t s = i / groups_.length, c = i % groups_.length;
      reinterpret_cast<float*>(args.out[1])[groups_.stretch(kDscale, s) + c * groups_.stride(kDscale)] =
          static_cast<float>(scale);
      reinterpret_cast<float*>(args.out[2])[groups_.stretch(kDshift, s) + c * groups_.stride(kDshift)] =
          static_cast<float>(shift);
    }
  }

 private:
  float* sums_of(const Args& args, int64_t worker, int which) const {
    return reinterpret_cast<float*>(args.workspace +
                                    (static_cast<uint64_t>(worker) * 2 + static_cast<uint64_t>(which)) * sums_);
  }
  void run_group(const Args& args, int64_t g, int64_t worker) const {
    const auto at = [&](char* base, size_t operand) {
      return reinterpret_cast<float*>(base) + groups_.group(operand, g);
    };
    const float *dy = at(args.in[0], kDy), *x = at(args.in[1], kX), *scale = at(args.in[4], kScale);
    const float mean = rms_ ? 0.0f : *at(args.in[2], kMean), rstd = *at(args.in[3], kRstd);
    float scales[kBlock];
    double sums[4] = {};
    const auto each_block = [&](auto&& f) {
      for (int64_t s = 0; s < groups_.stretches; ++s) {
        const float* sc = scale + groups_.stretch(kScale, s);
        for (int64_t i = 0; i < groups_.length; i += kBlock) {
          const int64_t n = std::min(kBlock, groups_.length - i);
          f(s, i, n, dy + groups_.stretch(kDy, s) + i, x + groups_.stretch(kX, s) + i,
            block_of(sc + i * groups_.stride(kScale), groups_.stride(kScale), n, scales));
        }
      }
    };
    each_block([&](int64_t s, int64_t i, int64_t n, const float* d, const float* v, const float* sc) {
      isa().normalize_grad_sums(d, v, sc, mean, rstd, n, sums);
      if (columns_) {
        const int64_t first = s * groups_.length + i;
        isa().normalize_grad_columns(d, v, mean, rstd, sums_of(args, worker, 0) + first,
                                     sums_of(args, worker, 1) + first, n);
      }
    });
    const double count = static_cast<double>(groups_.inside.count);
    const float mean_g = rms_ ? 0.0f : static_cast<float>(sums[0] / count),
                mean_gh = static_cast<float>(sums[1] / count);
    float* dx = at(args.out[0], kDx);
    each_block([&](int64_t s, int64_t i, int64_t n, const float* d, const float* v, const float* sc) {
      isa().normalize_grad(d, v, sc, mean, rstd, mean_g, mean_gh, dx + groups_.stretch(kDx, s) + i, n);
    });
    if (!columns_) {
      *at(args.out[1], kDscale) = static_cast<float>(sums[3]);
      *at(args.out[2], kDshift) = static_cast<float>(sums[2]);
    }
  }

  Groups groups_;
  bool rms_, columns_;
  int64_t workers_;
  uint64_t sums_;
};

Op widened(const Op& op) {
  Op wide = op;
  for (auto* list : {&wide.in, &wide.out}) {
    for (bp_tensor_desc& desc : *list) {
      if (is_half(desc.dtype)) desc = dense_like(desc, BP_F32);
    }
  }
  return wide;
}
/// The stretches of x and the operand that is written beside it have to be dense.
bool dense_inside(const Groups& groups, std::initializer_list<size_t> operands) {
  for (size_t operand : operands) {
    if (groups.length > 1 && groups.stride(operand) != 1) return false;
  }
  return true;
}
enum class Sums { per_group, per_position, other };
Sums kind_of_sums(const Op& op) {
  bool group = true, position = true;
  for (uint32_t i = 0; i < op.in[1].rank; ++i) {
    const int64_t extent = op.in[1].shape[i];
    const bool inside = (op.attrs.normalize.axes >> i & 1u) != 0;
    for (int k : {1, 2}) {
      const bool full = op.out[static_cast<size_t>(k)].shape[i] == extent,
                 one = op.out[static_cast<size_t>(k)].shape[i] == 1;
      group = group && (inside ? one : full);
      position = position && (inside ? full : one);
    }
  }
  return group ? Sums::per_group : position ? Sums::per_position : Sums::other;
}

void list_plain(const Op& op, Candidates& out) { out.push_back(ready("groups", std::make_shared<Normalize>(op))); }
void list_plain_grad(const Op& op, Candidates& out) {
  out.push_back(ready("groups", std::make_shared<NormalizeGrad>(op, kind_of_sums(op) == Sums::per_position)));
}

std::string refuse_dtypes(const Op& op) {
  for (const auto* list : {&op.in, &op.out}) {
    for (const bp_tensor_desc& desc : *list) {
      if (desc.dtype != BP_F32 && !is_half(desc.dtype))
        return std::string(sdk::dtype_name(desc.dtype)) + " operands; it decomposes";
    }
  }
  return element_count(op.out[0]) == 0 ? "empty operands; it decomposes" : "";
}

}  // namespace

std::string refuse_normalize(const Op& op) {
  if (std::string reason = refuse_dtypes(op); !reason.empty()) return reason;
  if (!dense_inside(Groups(Normalize::operands(widened(op)), op.attrs.normalize.axes),
                    {Normalize::kX, Normalize::kY})) {
    return "the fastest axis of x or y is not normalised over; it decomposes";
  }
  return {};
}
void list_normalize(const Op& op, Candidates& out) {
  list_via_f32(op, list_plain, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_layer_norm(op, out);
  list_onednn_batch_norm(op, out);
#endif
}

std::string refuse_normalize_grad(const Op& op) {
  if (std::string reason = refuse_dtypes(op); !reason.empty()) return reason;
  if (kind_of_sums(op) == Sums::other) return "scale is neither per group nor per position; it decomposes";
  const Groups groups(NormalizeGrad::operands(widened(op)), op.attrs.normalize.axes);
  if (!dense_inside(groups, {NormalizeGrad::kX, NormalizeGrad::kDy, NormalizeGrad::kDx})) {
    return "the fastest axis of x, dy or dx is not normalised over; it decomposes";
  }
  return {};
}
void list_normalize_grad(const Op& op, Candidates& out) { list_via_f32(op, list_plain_grad, out); }

}  // namespace backplane::cpu
