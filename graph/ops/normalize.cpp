// SPDX-License-Identifier: Apache-2.0
// Normalisation by mean and variance or by the root of the mean square, over any axes: layer, batch, group, instance and
// RMS normalisation are this with other axes and shapes. Biased variance throughout.
//
// `normalize` is what a device may have: scale and shift come broadcast to x's shape. `layer_norm` and `rms_norm` are
// what people say: scale and shift broadcast as in NumPy; their VJP reuses the statistics that the forward pass gave.
#include "ops/normalize.h"

namespace backplane::graph {

namespace {

AttrSpec kind_attr() {
  return {"kind", AttrKind::integer, int64_t{BP_NORMALIZE_MEAN_VARIANCE}, "1 mean and variance, 2 root mean square"};
}

Type statistics_type(const Type& x, std::span<const int64_t> axes) {
  Type stats{accumulator(x.dtype), x.shape};
  for (int64_t axis : axes) stats.shape[static_cast<int>(axis)] = 1;
  return stats;
}

uint32_t axis_bits(std::span<const int64_t> axes) {
  uint32_t bits = 0;
  for (int64_t axis : axes) bits |= 1u << axis;
  return bits;
}

template <uint32_t kCode>
void encode_normalize(const Attrs& attrs, std::span<const Type>, std::span<const Type> out, KernelOp& op) {
  bp_normalize_attrs native{};
  native.size = sizeof native;
  native.kind = static_cast<uint32_t>(attrs.i64("kind"));
  native.axes = axis_bits(normalized_axes(attrs, out[0].shape.rank()));
  native.epsilon = attrs.f64("epsilon");
  op.code = kCode;
  op.set_attrs(native);
}

struct Statistics {
  Sym centred, mean, rstd;
};

Statistics statistics_of(Sym x, int64_t kind, const Ints& axes, double epsilon) {
  Statistics s;
  if (kind == BP_NORMALIZE_MEAN_VARIANCE) {
    s.mean = reduce_mean(x, axes);
    s.centred = x - s.mean;
  } else {
    s.mean = full(*x.builder, 0, x.dtype(), statistics_type(x.type(), axes).shape);
    s.centred = x;
  }
  s.rstd = rsqrt(reduce_mean(s.centred * s.centred, axes) + epsilon);
  return s;
}

/// Axes along which neither scale nor shift varies: there the gradients of both can be summed at once.
Ints shared_axes(const Shape& x, std::span<const Sym> params) {
  Ints axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool shared = std::all_of(params.begin(), params.end(), [&](Sym p) {
      const int own = axis - (x.rank() - p.rank());
      return own < 0 || p.shape()[own] == 1;
    });
    if (shared) axes.push_back(axis);
  }
  return axes;
}

/// The gradient of a parameter with leading extents 1 that the parameter itself does not have.
Sym fit_param(Sym gradient, Sym param) {
  return gradient.type().elements() == param.type().elements() ? reshape(gradient, param.shape()) : gradient;
}

/// What gradients that arrive at the statistics themselves add to dx; empty when none do.
Sym through_statistics(const VjpArgs& args, int64_t kind) {
  const Sym x = widen(args.in[0]), mean = args.out[1], rstd = args.out[2];
  const double count = static_cast<double>(std::max<int64_t>(1, x.type().elements())) /
                       static_cast<double>(std::max<int64_t>(1, mean.type().elements()));
  Sym dx;
  if (args.dy[2]) dx = (x - mean) * (args.dy[2] * rstd * rstd * rstd * (-1.0 / count));
  if (args.dy[1] && kind == BP_NORMALIZE_MEAN_VARIANCE) {
    const Sym part = expand(args.dy[1] * (1.0 / count), x.shape());
    dx = dx ? dx + part : part;
  }
  return dx ? cast(dx, args.in[0].dtype()) : dx;
}

}  // namespace

std::vector<AttrSpec> axes_and_epsilon(std::vector<AttrSpec> first) {
  first.push_back({"axes", AttrKind::integers, Ints{-1}, "axes that statistics are taken over; negative count from the end"});
  first.push_back({"epsilon", AttrKind::real, 1e-5, "added to the variance or mean square before the root"});
  return first;
}

Ints normalized_axes(const Attrs& attrs, int rank) { return normalize_axes(attrs.ints("axes"), rank, "normalize"); }

void check_axes(const InferArgs& args, std::span<const int64_t> axes, int rank) {
  for (int64_t axis : axes) {
    if (axis < -rank || axis >= rank) {
      args.fail("axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank));
    }
  }
}

void check_dtypes(const InferArgs& args) {
  require_one_float_dtype(args, 0, 1);
  require_one_float_dtype(args, 1, args.in.size());
  if (args.in[1].dtype != args.in[0].dtype && args.in[1].dtype != accumulator(args.in[0].dtype)) {
    args.fail("scale and shift must have x's dtype, or f32 with a half x", "cast() them");
  }
}

std::vector<Type> with_statistics(const InferArgs& args) {
  check_axes(args, args.attrs.ints("axes"), args.in[0].shape.rank());
  const Type stats = statistics_type(args.in[0], normalized_axes(args.attrs, args.in[0].shape.rank()));
  return {args.in[0], stats, stats};
}

void normalize_vjp(VjpArgs& args, int64_t kind) {
  const Sym x = args.in[0];
  const Ints axes = normalized_axes(args.attrs, x.rank());
  args.dx[0] = through_statistics(args, kind);
  if (!args.dy[0]) return;
  const std::vector<Sym> g =
      apply(op::normalize_grad,
            {{"kind", kind},
             {"param_axes", shared_axes(x.shape(), args.in.subspan(1))},
             {"axes", axes},
             {"epsilon", args.attrs.f64("epsilon")}},
            {args.dy[0], x, args.out[1], args.out[2], expand(args.in[1], x.shape())});
  args.dx[0] = args.dx[0] ? args.dx[0] + g[0] : g[0];
  for (size_t i = 1; i < args.in.size(); ++i) args.dx[i] = fit_param(g[i], args.in[i]);
}

Cost cost_of_normalize(double flops, std::span<const Type> in, std::span<const Type> out, const Type& x) {
  Cost cost;
  cost.flops = flops * static_cast<double>(x.elements());
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  for (const Type& type : out) cost.bytes += static_cast<double>(type.bytes());
  return cost;
}

namespace {

std::vector<Type> infer_normalize(const InferArgs& args) {
  check_dtypes(args);
  if (!same_shape(args.in[0].shape, args.in[1].shape) || !same_shape(args.in[0].shape, args.in[2].shape)) {
    args.fail("x, scale and shift have different shapes", "expand() scale and shift, or use layer_norm");
  }
  if (args.attrs.i64("kind") != BP_NORMALIZE_MEAN_VARIANCE && args.attrs.i64("kind") != BP_NORMALIZE_RMS) {
    args.fail("kind must be 1 (mean and variance) or 2 (root mean square)");
  }
  return with_statistics(args);
}

std::vector<Sym> decompose_normalize(const DecomposeArgs& args) {
  const Sym x = widen(args.in[0]);
  const Statistics s =
      statistics_of(x, args.attrs.i64("kind"), normalized_axes(args.attrs, x.rank()), args.attrs.f64("epsilon"));
  const Sym y = s.centred * s.rstd * widen(args.in[1]) + widen(args.in[2]);
  return {cast(y, args.in[0].dtype()), s.mean, s.rstd};
}

std::vector<Type> infer_normalize_grad(const InferArgs& args) {
  const Type &dy = args.in[0], &x = args.in[1], &scale = args.in[4];
  if (!is_float(x.dtype) || dy.dtype != x.dtype) args.fail("dy and x must be floating point and of one dtype");
  if (scale.dtype != x.dtype && scale.dtype != accumulator(x.dtype)) {
    args.fail("scale must have x's dtype, or f32 with a half x", "cast() it");
  }
  if (!same_shape(dy.shape, x.shape) || !same_shape(scale.shape, x.shape)) args.fail("dy, x and scale have different shapes");
  check_axes(args, args.attrs.ints("axes"), x.shape.rank());
  const Type stats = statistics_type(x, normalized_axes(args.attrs, x.shape.rank()));
  for (const Type& given : {args.in[2], args.in[3]}) {
    if (given.dtype != stats.dtype || !same_shape(given.shape, stats.shape)) {
      args.fail("mean and rstd must be " + stats.to_string());
    }
  }
  Type param{scale.dtype, x.shape};
  check_axes(args, args.attrs.ints("param_axes"), x.shape.rank());
  for (int64_t axis : args.attrs.ints("param_axes")) param.shape[static_cast<int>(axis < 0 ? axis + x.shape.rank() : axis)] = 1;
  return {x, param, param};
}

std::vector<Sym> decompose_normalize_grad(const DecomposeArgs& args) {
  const Sym dy = widen(args.in[0]), x = widen(args.in[1]), mean = args.in[2], rstd = args.in[3];
  const DType dtype = args.in[1].dtype(), param = args.in[4].dtype();
  const bool centred = args.attrs.i64("kind") == BP_NORMALIZE_MEAN_VARIANCE;
  const Ints axes = normalized_axes(args.attrs, x.rank());
  Ints param_axes;
  for (int64_t axis : args.attrs.ints("param_axes")) param_axes.push_back(normalize_axis(axis, x.rank(), "normalize_grad"));
  const Sym hat = (centred ? x - mean : x) * rstd;
  const Sym g = dy * widen(args.in[4]);
  const Sym along = hat * reduce_mean(g * hat, axes);
  const Sym dx = rstd * (centred ? g - reduce_mean(g, axes) - along : g - along);
  return {cast(dx, dtype), cast(reduce_sum(dy * hat, param_axes), param), cast(reduce_sum(dy, param_axes), param)};
}

}  // namespace

const OpDef op::normalize = {
    .name = "normalize",
    .doc = "y = (x - mean) * rstd * scale + shift, with mean and rstd = 1 / sqrt(variance + epsilon) over `axes` (kind 2: "
           "mean is 0 and the variance the mean square). x, scale and shift have one shape (expand() them); scale and shift "
           "have x's dtype, or f32 with a half x. Gives (y, "
           "mean, rstd); the statistics are f32 (f64 for f64) with extent 1 on `axes`.",
    .min_inputs = 3,
    .max_inputs = 3,
    .outputs = 3,
    .attrs = axes_and_epsilon({kind_attr()}),
    .infer = infer_normalize,
    .decompose = decompose_normalize,
    .vjp = [](VjpArgs& args) { normalize_vjp(args, args.attrs.i64("kind")); },
    .native = {BP_OP_NORMALIZE, encode_normalize<BP_OP_NORMALIZE>},
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_normalize(8, in, out, in[0]);
    },
    .samples = [] {
      const auto three = [](Shape shape) { return std::vector<SampleInput>(3, sample(shape)); };
      return std::vector<Sample>{
          {three({4, 7}), {{"axes", Ints{1}}}},
          {three({2, 3, 5}), {{"axes", Ints{0, 2}}, {"epsilon", 0.1}}},
          {three({2, 3, 5}), {{"kind", int64_t{2}}, {"axes", Ints{-1}}}},
          {three({3, 1}), {{"axes", Ints{1}}, {"epsilon", 0.5}}},
          {three({0, 3}), {{"axes", Ints{1}}}},
      };
    },
};

const OpDef op::normalize_grad = {
    .name = "normalize_grad",
    .doc = "(dx, dscale, dshift) of normalize from (dy, x, mean, rstd, scale); scale has x's shape. dscale = sum(dy * (x - "
           "mean) * rstd) and dshift = sum(dy) over `param_axes`, with extent 1 there.",
    .min_inputs = 5,
    .max_inputs = 5,
    .outputs = 3,
    .attrs = axes_and_epsilon({kind_attr(), {"param_axes", AttrKind::integers, Ints{}, "axes to sum dscale and dshift over"}}),
    .infer = infer_normalize_grad,
    .decompose = decompose_normalize_grad,
    .native = {BP_OP_NORMALIZE_GRAD, encode_normalize<BP_OP_NORMALIZE_GRAD>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_normalize(14, in, out, in[1]);
    },
    .samples = [] {
      const auto five = [](Shape x, Shape stats) {
        return std::vector<SampleInput>{sample(x), sample(x), sample(stats), sample(stats, 0.5, 1.5), sample(x)};
      };
      return std::vector<Sample>{
          {five({4, 7}, {4, 1}), {{"axes", Ints{1}}, {"param_axes", Ints{0}}}},
          {five({2, 3, 5}, {1, 3, 1}), {{"axes", Ints{0, 2}}, {"param_axes", Ints{0, 2}}}},
          {five({2, 3, 5}, {2, 3, 1}), {{"kind", int64_t{2}}, {"axes", Ints{-1}}, {"param_axes", Ints{0, 1}}}},
          {five({3, 1}, {3, 1}), {{"axes", Ints{1}}}},
          {five({0, 3}, {0, 1}), {{"axes", Ints{1}}, {"param_axes", Ints{0}}}},
      };
    },
};

}  // namespace backplane::graph
