// SPDX-License-Identifier: Apache-2.0
// Losses that must not be put together from log and softmax by hand, because the intermediate values overflow.
// Their VJPs are closed forms; nothing is averaged but in mse_loss.
#include "ops/nn.h"

namespace backplane::graph {

namespace {

Shape without_axis(const Shape& shape, int64_t axis) {
  Shape rest;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != axis) rest.push_back(shape[i]);
  }
  return rest;
}

Ints all_axes(int rank) {
  Ints axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Sym zero_like_scalar(Sym x) { return scalar(*x.builder, 0, x.dtype()); }
Sym nan_for(Sym x) { return scalar(*x.builder, std::numeric_limits<double>::quiet_NaN(), x.dtype()); }

std::vector<Type> infer_cross_entropy(const InferArgs& args) {
  require_one_float_dtype(args, 0, 2);
  const Type& x = args.in[0];
  if (!same_shape(x.shape, args.in[1].shape)) {
    args.fail("logits and targets have different shapes", "for class numbers use sparse_cross_entropy");
  }
  const int64_t axis = args.attrs.i64("axis"), rank = x.shape.rank();
  if (axis < -rank || axis >= rank) args.fail("axis " + std::to_string(axis) + " is outside the logits' rank");
  return {{x.dtype, without_axis(x.shape, axis < 0 ? axis + rank : axis)}};
}

std::vector<Type> infer_sparse(const InferArgs& args) {
  require_one_float_dtype(args, 0, 1);
  const Type &x = args.in[0], &labels = args.in[1];
  if (!is_integer(labels.dtype)) args.fail("labels are not integers", "for probabilities use cross_entropy");
  if (x.shape.rank() < 1 || !same_shape(without_axis(x.shape, x.shape.rank() - 1), labels.shape)) {
    args.fail("labels must have the logits' shape without its last axis");
  }
  return {{x.dtype, labels.shape}};
}

/// Which labels name one of `classes` classes.
Sym in_range(Sym labels, int64_t classes) {
  const Sym zero = scalar(*labels.builder, 0, labels.dtype());
  const Sym end = scalar(*labels.builder, static_cast<double>(classes), labels.dtype());
  return binary(op::bit_and, binary(op::le, zero, labels), binary(op::lt, labels, end));
}

std::vector<Sym> decompose_cross_entropy(const DecomposeArgs& args) {
  const int64_t axis = normalize_axis(args.attrs.i64("axis"), args.in[0].rank(), "cross_entropy");
  const Ints axes = {axis};
  const Sym t = widen(args.in[1]);
  const Sym log_p = apply1(op::log_softmax, {{"axis", axis}}, {widen(args.in[0])});
  const Sym terms = where(binary(op::eq, t, zero_like_scalar(t)), zero_like_scalar(t), t * log_p);
  return {cast(squeeze(-reduce_sum(terms, axes), static_cast<int>(axis)), args.in[0].dtype())};
}

void vjp_cross_entropy(VjpArgs& args) {
  const int64_t axis = normalize_axis(args.attrs.i64("axis"), args.in[0].rank(), "cross_entropy");
  const Ints axes = {axis};
  const Sym x = widen(args.in[0]), t = widen(args.in[1]);
  const Sym dy = unsqueeze(widen(args.dy[0]), static_cast<int>(axis));
  if (args.wants[0]) {
    const Sym p = apply1(op::softmax, {{"axis", axis}}, {x});
    args.dx[0] = cast((p * reduce_sum(t, axes) - t) * dy, args.in[0].dtype());
  }
  if (args.wants[1]) {
    args.dx[1] = cast(-(apply1(op::log_softmax, {{"axis", axis}}, {x}) * dy), args.in[1].dtype());
  }
}

std::vector<Sym> decompose_sparse_cross_entropy(const DecomposeArgs& args) {
  const Sym labels = args.in[1];
  const int last = args.in[0].rank() - 1;
  const Sym log_p = apply1(op::log_softmax, {{"axis", int64_t{-1}}}, {widen(args.in[0])});
  const Sym picked = apply1(op::take_along_axis, {{"axis", int64_t{last}}}, {log_p, unsqueeze(labels, last)});
  const Sym loss = where(in_range(labels, args.in[0].shape()[last]), -squeeze(picked, last), nan_for(log_p));
  return {cast(loss, args.in[0].dtype())};
}

void vjp_sparse_cross_entropy(VjpArgs& args) {
  if (!args.wants[0]) return;
  const Sym x = widen(args.in[0]), labels = args.in[1];
  const int last = x.rank() - 1;
  const int64_t classes = x.shape()[last];
  const Sym p = apply1(op::softmax, {{"axis", int64_t{-1}}}, {x});
  const Sym target = apply1(op::one_hot, {{"depth", classes}, {"dtype", x.dtype()}}, {labels});
  const Sym dx = (p - target) * unsqueeze(widen(args.dy[0]), last);
  args.dx[0] = cast(where(unsqueeze(in_range(labels, classes), last), dx, nan_for(x)), args.in[0].dtype());
}

std::vector<Type> infer_mse_loss(const InferArgs& args) {
  require_one_float_dtype(args, 0, 2);
  broadcast_shapes(args.in[0].shape, args.in[1].shape, args);
  return {{args.in[0].dtype, {}}};
}

std::vector<Sym> decompose_mse_loss(const DecomposeArgs& args) {
  const Sym d = widen(args.in[0]) - widen(args.in[1]);
  return {cast(reshape(reduce_mean(d * d, all_axes(d.rank())), {}), args.in[0].dtype())};
}

void vjp_mse_loss(VjpArgs& args) {
  const Sym d = widen(args.in[0]) - widen(args.in[1]);
  const double count = static_cast<double>(std::max<int64_t>(1, d.type().elements()));
  const Sym dx = cast(d * (widen(args.dy[0]) * (2.0 / count)), args.in[0].dtype());
  if (args.wants[0]) args.dx[0] = dx;
  if (args.wants[1]) args.dx[1] = -dx;
}

}  // namespace

const OpDef op::cross_entropy = {
    .name = "cross_entropy",
    .doc = "loss = -sum(targets * log_softmax(logits)) along `axis`, which is removed; targets have the logits' shape and "
           "need not sum to 1. A class with target 0 adds nothing, even where its logit is -inf.",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = {{"axis", AttrKind::integer, int64_t{-1}, "the classes; negative counts from the end"}},
    .infer = infer_cross_entropy,
    .decompose = decompose_cross_entropy,
    .vjp = vjp_cross_entropy,
    .promotes = true,
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return Cost{7.0 * static_cast<double>(in[0].elements()),
                  static_cast<double>(in[0].bytes() + in[1].bytes() + out[0].bytes())};
    },
    .samples = [] {
      return std::vector<Sample>{
          {{sample({4, 10}), sample({4, 10}, 0, 1)}},
          {{sample({2, 3, 5}), sample({2, 3, 5}, 0, 1)}, {{"axis", int64_t{1}}}},
          {{sample({7}, -5, 5), sample({7}, 0, 1)}},
          {{sample({3, 1}), sample({3, 1}, 0, 1)}},
          {{sample({0, 3}), sample({0, 3}, 0, 1)}},
      };
    },
};

const OpDef op::sparse_cross_entropy = {
    .name = "sparse_cross_entropy",
    .doc = "loss[...] = -log_softmax(logits)[..., labels[...]] for logits[..., C] and integer labels[...] in 0 ... C - 1. "
           "A label outside that range makes its loss and its row of the gradient NaN.",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_sparse,
    .decompose = decompose_sparse_cross_entropy,
    .vjp = vjp_sparse_cross_entropy,
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return Cost{5.0 * static_cast<double>(in[0].elements()),
                  static_cast<double>(in[0].bytes() + in[1].bytes() + out[0].bytes())};
    },
    .samples = [] {
      return std::vector<Sample>{
          {{sample({4, 10}), sample({4}, 0, 10, DType::i32)}},
          {{sample({2, 3, 5}), sample({2, 3}, 0, 5, DType::i32)}},
          {{sample({7}, -5, 5), sample({}, 0, 7, DType::i32)}},
          {{sample({3, 1}), sample({3}, 0, 1, DType::i32)}},
          {{sample({0, 3}), sample({0}, 0, 3, DType::i32)}},
      };
    },
};

const OpDef op::mse_loss = {
    .name = "mse_loss",
    .doc = "mean((x - y)^2) over all elements, a scalar; x and y broadcast.",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_mse_loss,
    .decompose = decompose_mse_loss,
    .vjp = vjp_mse_loss,
    .promotes = true,
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return Cost{3.0 * static_cast<double>(std::max(in[0].elements(), in[1].elements())),
                  static_cast<double>(in[0].bytes() + in[1].bytes() + out[0].bytes())};
    },
    .samples = [] {
      return std::vector<Sample>{
          {{sample({4, 7}), sample({4, 7})}},
          {{sample({2, 3, 5}), sample({3, 1})}},
          {{sample({}), sample({})}},
          {{sample({1}), sample({1})}},
      };
    },
};

}  // namespace backplane::graph
