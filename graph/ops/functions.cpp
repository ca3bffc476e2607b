// SPDX-License-Identifier: Apache-2.0
// The functions on Syms that decompositions and VJPs are written with, and the shape rules that several ops share.
// Functions that would change nothing return their operand, so that definitions need no special cases.

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "ops/axis_error.h"
#include "ops/common.h"

namespace backplane::graph {

Sym unary(const OpDef& op, Sym x) { return apply1(op, {}, {x}); }
Sym binary(const OpDef& op, Sym a, Sym b) { return apply1(op, {}, {a, b}); }

Sym operator+(Sym a, Sym b) { return binary(op::add, a, b); }
Sym operator-(Sym a, Sym b) { return binary(op::sub, a, b); }
Sym operator*(Sym a, Sym b) { return binary(op::mul, a, b); }
Sym operator/(Sym a, Sym b) { return binary(op::div, a, b); }
Sym operator-(Sym a) { return unary(op::neg, a); }

namespace {
Sym like(Sym x, double value) { return scalar(*x.builder, value, x.dtype()); }
}  // namespace

Sym operator+(Sym a, double b) { return a + like(a, b); }
Sym operator-(Sym a, double b) { return a - like(a, b); }
Sym operator-(double a, Sym b) { return like(b, a) - b; }
Sym operator*(Sym a, double b) { return a * like(a, b); }
Sym operator*(double a, Sym b) { return like(b, a) * b; }
Sym operator/(Sym a, double b) { return a / like(a, b); }
Sym operator/(double a, Sym b) { return like(b, a) / b; }

Sym exp(Sym x) { return unary(op::exp, x); }
Sym log(Sym x) { return unary(op::log, x); }
Sym sqrt(Sym x) { return unary(op::sqrt, x); }
Sym rsqrt(Sym x) { return unary(op::rsqrt, x); }
Sym tanh(Sym x) { return unary(op::tanh, x); }
Sym maximum(Sym a, Sym b) { return binary(op::maximum, a, b); }
Sym minimum(Sym a, Sym b) { return binary(op::minimum, a, b); }
Sym where(Sym condition, Sym a, Sym b) { return apply1(op::where, {}, {condition, a, b}); }
Sym cast(Sym x, DType dtype) { return x.dtype() == dtype ? x : apply1(op::cast, {{"dtype", dtype}}, {x}); }
Sym copy(Sym x) { return unary(op::copy, x); }
Sym matmul(Sym a, Sym b) { return binary(op::matmul, a, b); }

// Constants -----------------------------------------------------------------------------------------------------------

namespace {
/// As BP_S_CAST: truncates and saturates, NaN gives 0.
int64_t saturate(double value, DType dtype) {
  if (std::isnan(value)) return 0;
  if (dtype == boolean) return value != 0;
  const double low = dtype == i32 ? std::numeric_limits<int32_t>::min() : -0x1p63;
  const double high = dtype == i32 ? std::numeric_limits<int32_t>::max() : 0x1p63;
  if (value <= low) return dtype == i32 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int64_t>::min();
  if (value >= high) return dtype == i32 ? std::numeric_limits<int32_t>::max() : std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(value);
}
}  // namespace

Sym full(Builder& builder, double value, DType dtype, const Shape& shape) {
  const bool real = is_real(dtype);
  return source(builder, op::full,
                {{"value", real ? value : 0.0},
                 {"int_value", real ? int64_t{0} : saturate(value, dtype)},
                 {"dtype", dtype},
                 {"shape", shape.vector()}});
}

Sym scalar(Builder& builder, double value, DType dtype) { return full(builder, value, dtype, {}); }
Sym zeros_like(Sym x) { return full(*x.builder, 0, x.dtype(), x.shape()); }
Sym iota(Builder& builder, int64_t n, DType dtype) { return source(builder, op::iota, {{"n", n}, {"dtype", dtype}}); }

Sym constant_i32(Builder& builder, const Shape& shape, std::span<const int32_t> values) {
  std::vector<std::byte> bytes(values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return builder.constant({i32, shape}, std::move(bytes));
}

// Views ---------------------------------------------------------------------------------------------------------------

Sym reshape(Sym x, const Shape& shape) {
  return x.shape() == shape ? x : apply1(op::reshape, {{"shape", shape.vector()}}, {x});
}

Sym permute(Sym x, std::span<const int64_t> axes) {
  if (std::is_sorted(axes.begin(), axes.end())) return x;
  return apply1(op::permute, {{"axes", Ints(axes.begin(), axes.end())}}, {x});
}

Sym transpose(Sym x) {
  Ints axes(static_cast<size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return permute(x, axes);
}

Sym expand(Sym x, const Shape& shape) {
  return x.shape() == shape ? x : apply1(op::expand, {{"shape", shape.vector()}}, {x});
}

Sym slice(Sym x, std::span<const int64_t> start, std::span<const int64_t> stop, std::span<const int64_t> step) {
  bool whole = true;
  for (size_t i = 0; i < start.size(); ++i) {
    whole = whole && start[i] == 0 && step[i] == 1 && stop[i] == x.shape()[static_cast<int>(i)];
  }
  if (whole) return x;
  return apply1(op::slice,
                {{"start", Ints(start.begin(), start.end())},
                 {"stop", Ints(stop.begin(), stop.end())},
                 {"step", Ints(step.begin(), step.end())}},
                {x});
}

Sym unsqueeze(Sym x, int axis) {
  Ints extents = x.shape().vector();
  extents.insert(extents.begin() + (axis < 0 ? axis + x.rank() + 1 : axis), 1);
  return reshape(x, Shape(extents));
}

Sym squeeze(Sym x, int axis) {
  Ints extents = x.shape().vector();
  extents.erase(extents.begin() + (axis < 0 ? axis + x.rank() : axis));
  return reshape(x, Shape(extents));
}

// Reductions ----------------------------------------------------------------------------------------------------------

namespace {
Sym reduce(const OpDef& op, Sym x, std::span<const int64_t> axes) {
  return axes.empty() ? x : apply1(op, {{"axes", Ints(axes.begin(), axes.end())}}, {x});
}
}  // namespace

Sym reduce_sum(Sym x, std::span<const int64_t> axes) { return reduce(op::reduce_sum, x, axes); }
Sym reduce_max(Sym x, std::span<const int64_t> axes) { return reduce(op::reduce_max, x, axes); }

Sym reduce_mean(Sym x, std::span<const int64_t> axes) {
  double n = 1;
  for (const int64_t axis : axes) n *= static_cast<double>(x.shape()[static_cast<int>(axis)]);
  // The sum of many halves may be out of their range when its mean is not.
  const Sym wide = is_half(x.dtype()) ? cast(x, f32) : x;
  return axes.empty() ? x : cast(reduce_sum(wide, axes) / n, x.dtype());
}

// Axes and shapes -----------------------------------------------------------------------------------------------------

int64_t normalize_axis(int64_t axis, int rank, std::string_view op) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw AxisError(op, axis, rank);
}

std::vector<int64_t> normalize_axes(std::span<const int64_t> axes, int rank, std::string_view op) {
  Ints out;
  if (axes.empty()) {
    out.resize(static_cast<size_t>(rank));
    std::iota(out.begin(), out.end(), 0);
    return out;
  }
  for (const int64_t axis : axes) out.push_back(normalize_axis(axis, rank, op));
  std::sort(out.begin(), out.end());
  const auto twice = std::adjacent_find(out.begin(), out.end());
  if (twice != out.end()) fail(op, "axis " + std::to_string(*twice) + " is named twice");
  return out;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const InferArgs& args) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape out = longer;
  const int shift = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const int64_t theirs = shorter[i];
    int64_t& ours = out[i + shift];
    if (ours == theirs || theirs == 1) continue;
    if (ours != 1) {
      args.fail("shapes " + a.to_string() + " and " + b.to_string() + " do not broadcast: extents " +
                    std::to_string(longer[i + shift]) + " and " + std::to_string(theirs) + " on axis " +
                    std::to_string(i + shift),
                "extents must be equal, or one of them 1");
    }
    ours = theirs;
  }
  return out;
}

}  // namespace backplane::graph
