// SPDX-License-Identifier: Apache-2.0
#include "bounds.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "backplane/sdk/walk.h"

namespace backplane::autotune {
namespace {

/// Largest relative error of one rounding to nearest; 0: exact.
double unit_roundoff(uint32_t dtype) {
  switch (dtype) {
    case BP_F64: return 0x1p-53;
    case BP_F32: return 0x1p-24;
    case BP_F16: return 0x1p-11;
    case BP_BF16: return 0x1p-8;
    case BP_F8_E4M3: return 0x1p-4;
    case BP_F8_E5M2: return 0x1p-3;
    default: return 0;
  }
}
/// Below this, rounding is absolute; devices may flush smaller f32 values to zero.
double smallest_normal(uint32_t dtype) {
  switch (dtype) {
    case BP_F64: return 0x1p-1022;
    case BP_F16:
    case BP_F8_E5M2: return 0x1p-14;
    case BP_F8_E4M3: return 0x1p-6;
    default: return 0x1p-126;
  }
}

bool is_exact(const bp_op& op) {
  switch (op.code) {
    case BP_OP_GATHER:
    case BP_OP_SORT:
    case BP_OP_TOP_K:
    case BP_OP_RANDOM: return true;
    case BP_OP_REDUCE: {
      const uint32_t kind = static_cast<const bp_reduce_attrs*>(op.attrs)->kind;
      return op.program == nullptr && kind != BP_REDUCE_SUM && kind != BP_REDUCE_PROD;
    }
    case BP_OP_POOL: return static_cast<const bp_pool_attrs*>(op.attrs)->kind == BP_POOL_MAX;
    default: return false;
  }
}

/// Longest sum that an element of an output is made of.
double terms_of(const bp_op& op) {
  const auto count = [](const bp_tensor_desc& d) {
    return static_cast<double>(std::max<int64_t>(bp_sdk_numel(&d), 1));
  };
  const auto extent = [](const bp_tensor_desc& d, uint32_t axis) { return static_cast<double>(d.shape[axis]); };
  const bp_tensor_desc* in = op.inputs;
  const bp_tensor_desc& out = op.outputs[0];
  switch (op.code) {
    case BP_OP_POINTWISE: return 1;
    case BP_OP_MATMUL: return extent(in[0], in[0].rank - 1);
    case BP_OP_REDUCE: return count(in[0]) / count(out);
    case BP_OP_SCATTER_ADD: return extent(in[1], 0) + 1;
    case BP_OP_CONVOLUTION:
    case BP_OP_CONVOLUTION_GRAD_DATA: {
      const double window = count(in[1]) / (extent(in[1], 0) * extent(in[1], 1));
      return window * extent(in[1], op.code == BP_OP_CONVOLUTION ? 1 : 0);
    }
    case BP_OP_CONVOLUTION_GRAD_FILTER: return count(in[1]) / extent(in[1], 1);
    default: {
      double largest = 1, smallest = count(out);
      for (uint32_t i = 0; i < op.num_inputs; ++i) largest = std::max(largest, count(in[i]));
      for (uint32_t j = 0; j < op.num_outputs; ++j) smallest = std::min(smallest, count(op.outputs[j]));
      const double leading = in[0].rank > 0 ? std::max(extent(in[0], 0), 1.0) : 1;
      return std::max(largest / leading, largest / smallest);
    }
  }
}

struct Bound {
  double of_result = 0;     ///< times |right value|
  double of_magnitude = 0;  ///< times the magnitude
};
Bound bound_of(const bp_op& op, const bp_tensor_desc& output, uint32_t notes, bool by_largest) {
  if (is_exact(op) || unit_roundoff(output.dtype) == 0) return {};
  const double stored = unit_roundoff(output.dtype);
  double narrowest = stored;  // a product of halves may have been rounded to their dtype in between
  for (uint32_t i = 0; i < op.num_inputs; ++i) narrowest = std::max(narrowest, unit_roundoff(op.inputs[i].dtype));
  double sum = output.dtype == BP_F64 ? 0x1p-53 : 0x1p-24;
  if ((notes & BP_NOTE_REDUCED_ACCUMULATION) != 0 && op.math_mode == BP_MATH_FAST) sum = 0x1p-11;
  if (op.code == BP_OP_SCATTER_ADD) sum = std::max(sum, stored);  // halves may be rounded at each addition
  double roundings = by_largest ? 64 : 4;
  // F(4x4, 3x3) magnifies by the norms of its transforms, 100 to 1000 in all (Barabasz and others, "Error analysis and
  // improving the accuracy of Winograd convolution", 2020).
  if ((notes & (BP_NOTE_WINOGRAD | BP_NOTE_FFT)) != 0) roundings = 1024;
  if ((notes & BP_NOTE_FAST_MATH) != 0) roundings *= 4;
  double magnitude = sum * (roundings + 6 * std::sqrt(terms_of(op)));
  // Operands rounded to fewer bits change each product by two such roundings, whose signs are random in a sum too; all
  // of one sign is allowed.
  if ((notes & BP_NOTE_TF32) != 0 && op.math_mode >= BP_MATH_TF32) magnitude += 2.5 * 0x1p-11;
  if ((notes & BP_NOTE_REDUCED_INPUTS) != 0 && op.math_mode == BP_MATH_FAST) magnitude += 2.5 * 0x1p-8;
  // Gradients and softmax of halves keep intermediate results in the operands' dtype.
  if (!is_linear(op) && narrowest > 0x1p-20) magnitude += 2 * narrowest;
  return {4 * stored, magnitude};
}

/// Dense f32, all of it within the bound: the usual case, without a switch per element. Says nothing otherwise.
bool all_within(const Memory& outputs, const Memory& right, const Memory* magnitudes, double largest, Bound bound,
                Difference& worst, double& worst_share) {
  const auto dense = [](const Memory& m) {
    return m.desc.dtype == BP_F32 && m.bytes.size() == static_cast<size_t>(m.elements()) * 4 && m.origin == 0;
  };
  const auto same_strides = [&](const Memory& m) {
    return std::equal(m.desc.strides, m.desc.strides + m.desc.rank, right.desc.strides);
  };
  if (bound.of_magnitude == 0 || !dense(right) ||
      (magnitudes != nullptr && !(dense(*magnitudes) && same_strides(*magnitudes))))
    return false;
  const auto* a = reinterpret_cast<const float*>(outputs.bytes.data());
  const auto* b = reinterpret_cast<const float*>(right.bytes.data());
  const auto* m = magnitudes != nullptr ? reinterpret_cast<const float*>(magnitudes->bytes.data()) : nullptr;
  const auto of_result = static_cast<float>(bound.of_result), of_magnitude = static_cast<float>(bound.of_magnitude);
  const auto floor = static_cast<float>(8 * smallest_normal(BP_F32));
  const auto count = static_cast<size_t>(right.elements());
  size_t at = 0;
  float share = -1;
  for (size_t e = 0; e < count; ++e) {
    const float error = std::fabs(a[e] - b[e]), magnitude = m != nullptr ? m[e] : static_cast<float>(largest);
    const float allowed = of_result * std::fabs(b[e]) + of_magnitude * magnitude + floor;
    if (!(error <= allowed)) return false;  // also where either is a NaN or infinite
    if (error > share * allowed) share = error / allowed, at = e;
  }
  if (count == 0 || share <= worst_share) return true;
  worst_share = share;
  const double error = std::fabs(static_cast<double>(a[at]) - b[at]), magnitude = m != nullptr ? m[at] : largest;
  const double scale = std::max({magnitude, std::fabs(static_cast<double>(b[at])), smallest_normal(BP_F32)});
  worst = {error / scale, error / scale / std::max<double>(share, 1e-30), true, {}};
  if (share == 0) worst = {0, of_result + of_magnitude, true, {}};
  return true;
}

std::string describe(size_t output, int64_t element, double is, double right) {
  char text[120];
  std::snprintf(text, sizeof text, "output %zu, element %lld: %.9g instead of %.9g", output,
                static_cast<long long>(element), is, right);
  return text;
}

}  // namespace

bool is_linear(const bp_op& op) {
  if (op.program != nullptr) return false;
  switch (op.code) {
    case BP_OP_MATMUL:
    case BP_OP_SCATTER_ADD:
    case BP_OP_CONVOLUTION:
    case BP_OP_CONVOLUTION_GRAD_DATA:
    case BP_OP_CONVOLUTION_GRAD_FILTER: return true;
    case BP_OP_REDUCE: return static_cast<const bp_reduce_attrs*>(op.attrs)->kind == BP_REDUCE_SUM;
    default: return false;
  }
}

double work_of(const bp_op& op) { return terms_of(op) * static_cast<double>(bp_sdk_numel(&op.outputs[0])); }

Difference compare(const bp_op& op, const Expected& expected, const std::vector<Memory>& outputs, uint32_t notes) {
  Difference worst;
  double worst_share = -1;  // of what is allowed
  for (size_t j = 0; j < outputs.size(); ++j) {
    const Memory& right = expected.outputs[j];
    // Winograd's sums share their roundings among the results of a tile: each is bounded by the largest.
    const bool by_largest = expected.magnitudes.empty() || (notes & (BP_NOTE_WINOGRAD | BP_NOTE_FFT)) != 0;
    const Bound bound = bound_of(op, right.desc, notes, by_largest);
    const double largest = by_largest ? expected.largest[j] : 0;
    const Memory* magnitudes = by_largest ? nullptr : &expected.magnitudes[j];
    if (all_within(outputs[j], right, magnitudes, largest, bound, worst, worst_share)) continue;
    int64_t element = 0;
    each_element(right.desc, [&](int64_t at) {
      const double a = outputs[j].load(at), b = right.load(at);
      const int64_t here = element++;
      if (a == b || (std::isnan(a) && std::isnan(b))) {
        worst_share = std::max(worst_share, 0.0);
        return;
      }
      const double magnitude = by_largest ? largest : std::fabs(magnitudes->load(at));
      const double allowed = bound.of_result * std::fabs(b) + bound.of_magnitude * magnitude +
                             (bound.of_magnitude > 0 ? 8 * smallest_normal(right.desc.dtype) : 0);
      const double error = std::fabs(a - b);
      // Also false for a NaN, and for infinities on either side.
      const bool ok = error <= allowed && std::isfinite(b);
      const double share = ok ? error / allowed : std::isfinite(error) ? 1 + error : INFINITY;
      if (share <= worst_share || (!worst.ok && ok)) return;
      const double scale = std::max(magnitude, std::fabs(b)) > 0 ? std::max(magnitude, std::fabs(b)) : 1;
      worst_share = share;
      worst = {std::isfinite(error) ? error / scale : INFINITY, allowed / scale, ok, {}};
      if (!ok) worst.where = describe(j, here, a, b);
    });
  }
  return worst;
}

}  // namespace backplane::autotune
