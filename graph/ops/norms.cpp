// SPDX-License-Identifier: Apache-2.0
// The normalisations named after layers: scale and shift broadcast as in NumPy, the work is done by `normalize`.
#include "ops/normalize.h"

namespace backplane::graph {

namespace {

/// layer_norm and rms_norm: scale (and shift) broadcast to x.
std::vector<Type> infer_named(const InferArgs& args) {
  check_dtypes(args);
  for (size_t i = 1; i < args.in.size(); ++i) {
    if (!same_shape(broadcast_shapes(args.in[0].shape, args.in[i].shape, args), args.in[0].shape)) {
      args.fail("operand " + std::to_string(i) + " does not broadcast to x's shape", "x itself is never broadcast");
    }
  }
  return with_statistics(args);
}

std::vector<Sym> normalize_broadcast(const DecomposeArgs& args, int64_t kind, Sym shift) {
  const Sym x = args.in[0];
  return apply(op::normalize,
               {{"kind", kind}, {"axes", normalized_axes(args.attrs, x.rank())}, {"epsilon", args.attrs.f64("epsilon")}},
               {x, expand(args.in[1], x.shape()), expand(shift, x.shape())});
}

std::vector<Sym> decompose_layer_norm(const DecomposeArgs& args) {
  return normalize_broadcast(args, BP_NORMALIZE_MEAN_VARIANCE, args.in[2]);
}

std::vector<Sym> decompose_rms_norm(const DecomposeArgs& args) {
  return normalize_broadcast(args, BP_NORMALIZE_RMS, scalar(args.builder, 0, args.in[1].dtype()));
}

std::vector<Type> infer_batch_norm_inference(const InferArgs& args) {
  require_one_float_dtype(args, 0, 5);
  const Type& x = args.in[0];
  const int64_t axis = args.attrs.i64("axis");
  check_axes(args, std::span(&axis, 1), x.shape.rank());
  for (size_t i = 1; i < 5; ++i) {
    const int64_t channels = x.shape[static_cast<int>(axis < 0 ? axis + x.shape.rank() : axis)];
    if (args.in[i].shape.rank() != 1 || !same_extent(args.in[i].shape[0], channels)) {
      args.fail("operand " + std::to_string(i) + " must have one element per channel, [" + std::to_string(channels) + "]");
    }
  }
  return {x};
}

std::vector<Sym> decompose_batch_norm_inference(const DecomposeArgs& args) {
  const Sym x = widen(args.in[0]);
  const int64_t axis = normalize_axis(args.attrs.i64("axis"), x.rank(), "batch_norm_inference");
  Shape along;
  for (int i = 0; i < x.rank(); ++i) along.push_back(i == axis ? x.shape()[i] : 1);
  const auto param = [&](size_t i) { return reshape(widen(args.in[i]), along); };
  const Sym y = (x - param(3)) * rsqrt(param(4) + args.attrs.f64("epsilon")) * param(1) + param(2);
  return {cast(y, args.in[0].dtype())};
}

}  // namespace

const OpDef op::layer_norm = {
    .name = "layer_norm",
    .doc = "y = (x - mean) / sqrt(variance + epsilon) * scale + shift with biased statistics over `axes`; scale and shift "
           "broadcast to x. Gives (y, mean, rstd). Batch normalisation in training is axes (0, 2, 3) with scale[C,1,1].",
    .min_inputs = 3,
    .max_inputs = 3,
    .outputs = 3,
    .attrs = axes_and_epsilon(),
    .infer = infer_named,
    .decompose = decompose_layer_norm,
    .vjp = [](VjpArgs& args) { normalize_vjp(args, BP_NORMALIZE_MEAN_VARIANCE); },
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_normalize(8, in, out, in[0]);
    },
    .samples = [] {
      return std::vector<Sample>{
          {{sample({4, 7}), sample({7}), sample({7})}},
          {{sample({2, 3, 4, 5}), sample({3, 1, 1}), sample({3, 1, 1})}, {{"axes", Ints{0, 2, 3}}, {"epsilon", 0.1}}},
          {{sample({2, 3, 5}), sample({3, 5}), sample({5})}, {{"axes", Ints{1, 2}}}},
          {{sample({2, 3, 5}), sample({}), sample({1, 3, 1})}, {{"axes", Ints{-2}}}},
          {{sample({3, 1}), sample({1}), sample({1})}, {{"epsilon", 0.5}}},
          {{sample({0, 3}), sample({3}), sample({3})}},
      };
    },
};

const OpDef op::rms_norm = {
    .name = "rms_norm",
    .doc = "y = x / sqrt(mean(x^2) + epsilon) * scale over `axes`; scale broadcasts to x. Gives (y, mean, rstd); mean is 0.",
    .min_inputs = 2,
    .max_inputs = 2,
    .outputs = 3,
    .attrs = axes_and_epsilon(),
    .infer = infer_named,
    .decompose = decompose_rms_norm,
    .vjp = [](VjpArgs& args) { normalize_vjp(args, BP_NORMALIZE_RMS); },
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_normalize(6, in, out, in[0]);
    },
    .samples = [] {
      return std::vector<Sample>{
          {{sample({4, 7}), sample({7})}},
          {{sample({2, 3, 5}), sample({3, 1})}, {{"axes", Ints{0, 2}}, {"epsilon", 0.1}}},
          {{sample({3, 1}), sample({1})}, {{"epsilon", 0.5}}},
          {{sample({0, 3}), sample({3})}},
      };
    },
};

const OpDef op::batch_norm_inference = {
    .name = "batch_norm_inference",
    .doc = "y = (x - mean) / sqrt(variance + epsilon) * scale + shift with given statistics; scale, shift, mean and "
           "variance are [C] for the C elements of `axis`.",
    .min_inputs = 5,
    .max_inputs = 5,
    .attrs = {{"axis", AttrKind::integer, int64_t{1}, "the channels; negative counts from the end"},
              {"epsilon", AttrKind::real, 1e-5, "added to the variance before the root"}},
    .infer = infer_batch_norm_inference,
    .decompose = decompose_batch_norm_inference,
    .saves = Saves::inputs,
    .samples = [] {
      const auto five = [](Shape x, int64_t channels) {
        return std::vector<SampleInput>{sample(x), sample({channels}), sample({channels}), sample({channels}),
                                        sample({channels}, 0.5, 2)};
      };
      return std::vector<Sample>{
          {five({2, 3, 4, 5}, 3)},
          {five({4, 7}, 7)},
          {five({2, 1, 3}, 3), {{"axis", int64_t{-1}}, {"epsilon", 0.1}}},
          {five({0, 3}, 3)},
      };
    },
};

}  // namespace backplane::graph
