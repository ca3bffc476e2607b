// SPDX-License-Identifier: Apache-2.0
// Maximum and average pooling over 1 to 3 spatial axes, and the gradient as an op of its own.
//
// Decomposition: windows of the padded input, reduced over the window axes. The maximum's gradient goes to the first
// maximum in row-major window order: every placement weighs its elements K, K - 1, ..., 1 and the heaviest of those that
// equal the maximum wins.
#include "ops/nn.h"

namespace backplane::graph {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<AttrSpec> pool_attrs() {
  std::vector<AttrSpec> specs = {
      {"kind", AttrKind::integer, int64_t{BP_POOL_MAX}, "1 maximum, 2 average", true},
      {"window", AttrKind::integers, Ints{}, "extent of the window per spatial axis", true},
  };
  for (AttrSpec& spec : sliding_attrs("elements between placements, per spatial axis; none = the window, side by side")) {
    specs.push_back(std::move(spec));
  }
  specs.push_back({"count_padding", AttrKind::boolean, false,
                   "average: divide by the window's size, not by the number of elements inside the input"});
  return specs;
}

Sliding pool_sliding(const Attrs& attrs) {
  const std::span<const int64_t> window = attrs.ints("window");
  std::array<int64_t, 3> side_by_side = {1, 1, 1};
  std::copy_n(window.begin(), std::min<size_t>(3, window.size()), side_by_side.begin());
  return sliding_of(attrs, window, side_by_side);
}

Shape pooled_shape(const InferArgs& args, const Type& x) {
  const int64_t kind = args.attrs.i64("kind");
  const std::span<const int64_t> window = args.attrs.ints("window");
  const int spatial = x.shape.rank() - 2;
  if (kind != BP_POOL_MAX && kind != BP_POOL_AVERAGE) args.fail("kind must be 1 (maximum) or 2 (average)");
  if (spatial < 1 || spatial > 3) args.fail("x must have a batch, a channel and 1 to 3 spatial axes");
  if (static_cast<int>(window.size()) != spatial) args.fail("'window' must give one extent per spatial axis");
  check_sliding(args, spatial, window);
  const Sliding s = pool_sliding(args.attrs);
  Shape y{x.shape[0], x.shape[1]};
  for (int i = 0; i < spatial; ++i) {
    if (std::min(s.low[i], s.high[i]) < 0 || std::max(s.low[i], s.high[i]) >= s.reach(i)) {
      args.fail("padding must be at least 0 and smaller than the window", "pad() the input beforehand for more");
    }
  }
  check_fits(args, s, x.shape);
  for (int i = 0; i < spatial; ++i) y.push_back(s.placements(i, x.shape[2 + i]));
  return y;
}

template <uint32_t kCode>
void encode_pool(const Attrs& attrs, std::span<const Type>, std::span<const Type>, KernelOp& op) {
  const Sliding s = pool_sliding(attrs);
  bp_pool_attrs native{};
  native.size = sizeof native;
  native.kind = static_cast<uint32_t>(attrs.i64("kind"));
  native.spatial_rank = static_cast<uint32_t>(s.rank);
  native.count_padding = attrs.flag("count_padding") ? 1 : 0;
  for (int i = 0; i < s.rank; ++i) {
    native.window[i] = s.size[i];
    native.stride[i] = s.stride[i];
    native.dilation[i] = s.dilation[i];
    native.pad_low[i] = s.low[i];
    native.pad_high[i] = s.high[i];
  }
  op.code = kCode;
  op.set_attrs(native);
}

Ints window_axes(const Sliding& s) {
  Ints axes;
  for (int i = 0; i < s.rank; ++i) axes.push_back(2 + s.rank + i);
  return axes;
}

int64_t window_elements(const Sliding& s) {
  int64_t count = 1;
  for (int i = 0; i < s.rank; ++i) count *= s.size[i];
  return count;
}

/// Elements of each placement that lie inside the input, [placements...]; at least 1, so that nothing is divided by 0.
Sym inside_counts(Builder& builder, const Sliding& s, const Shape& x, DType dtype) {
  Sym counts = scalar(builder, 1, DType::f32);
  for (int i = 0; i < s.rank; ++i) {
    const int64_t placements = s.placements(i, x[2 + i]);
    std::vector<std::byte> bytes(static_cast<size_t>(placements) * sizeof(float));
    for (int64_t p = 0; p < placements; ++p) {
      float inside = 0;
      for (int64_t k = 0; k < s.size[i]; ++k) {
        const int64_t at = p * s.stride[i] + k * s.dilation[i] - s.low[i];
        inside += at >= 0 && at < x[2 + i] ? 1.0f : 0.0f;
      }
      std::copy_n(reinterpret_cast<const std::byte*>(&inside), sizeof inside, bytes.begin() + p * int64_t{sizeof inside});
    }
    Shape along;
    for (int j = 0; j < s.rank; ++j) along.push_back(j == i ? placements : 1);
    counts = counts * builder.constant({DType::f32, along}, std::move(bytes));
  }
  return cast(maximum(counts, scalar(builder, 1, DType::f32)), dtype);
}

/// `sums` divided by what an average counts.
Sym averaged(Sym sums, const Attrs& attrs, const Sliding& s, const Shape& x) {
  if (attrs.flag("count_padding") || !s.has_padding()) return sums / static_cast<double>(window_elements(s));
  return sums / inside_counts(*sums.builder, s, x, sums.dtype());
}

Sym insert_window_axes(Sym y, const Sliding& s) {
  Shape shape = y.shape();
  for (int i = 0; i < s.rank; ++i) shape.push_back(1);
  return reshape(y, shape);
}

/// K, K - 1, ..., 1 over the window axes, and 0 at placements' elements that lie in the padding.
Sym weights_of(Builder& builder, const Sliding& s, const Shape& x) {
  const double count = static_cast<double>(window_elements(s));
  Shape window;
  for (int i = 0; i < s.rank; ++i) window.push_back(s.size[i]);
  const Sym weights = reshape(count - iota(builder, window_elements(s), DType::f32), window);
  if (!s.has_padding()) return weights;
  Shape ones = x;
  ones[0] = ones[1] = 1;
  const Sym inside = windows_of(pad_spatial(full(builder, 1, DType::f32, ones), s, 0), s);
  return weights * inside;
}

/// True at the one element of each placement that the gradient of a maximum goes to.
Sym first_maximum(Sym windows, Sym y, const Sliding& s, const Shape& x) {
  Builder& builder = *windows.builder;
  const Sym nan = binary(op::ne, windows, windows);
  const Sym equal = binary(op::bit_or, binary(op::eq, windows, insert_window_axes(y, s)), nan);
  const Sym zero = scalar(builder, 0, DType::f32);
  const Sym candidates = where(equal, weights_of(builder, s, x), zero);
  const Sym heaviest = reduce_max(candidates, window_axes(s));
  return binary(op::bit_and, binary(op::eq, candidates, heaviest), binary(op::lt, zero, candidates));
}

std::vector<Type> infer_pool(const InferArgs& args) {
  require_one_float_dtype(args, 0, 1);
  return {{args.in[0].dtype, pooled_shape(args, args.in[0])}};
}

std::vector<Sym> decompose_pool(const DecomposeArgs& args) {
  const Sliding s = pool_sliding(args.attrs);
  const bool maximum = args.attrs.i64("kind") == BP_POOL_MAX;
  const Sym x = maximum ? args.in[0] : widen(args.in[0]);
  const Sym windows = windows_of(pad_spatial(x, s, maximum ? -kInfinity : 0), s);
  const Sym reduced = maximum ? reduce_max(windows, window_axes(s)) : reduce_sum(windows, window_axes(s));
  Shape shape = x.shape();
  for (int i = 0; i < s.rank; ++i) shape[2 + i] = windows.shape()[2 + i];
  const Sym y = reshape(reduced, shape);
  return {maximum ? y : cast(averaged(y, args.attrs, s, x.shape()), args.in[0].dtype())};
}

void vjp_pool(VjpArgs& args) {
  const Sym in[] = {args.in[0], args.out[0], args.dy[0]};
  args.dx[0] = apply(op::pool_grad, args.attrs.args(), in).front();
}

std::vector<Type> infer_pool_grad(const InferArgs& args) {
  require_one_float_dtype(args, 0, 3);
  const Shape y = pooled_shape(args, args.in[0]);
  if (!same_shape(y, args.in[1].shape) || !same_shape(y, args.in[2].shape)) {
    args.fail("y and dy must have the shape of the pooled x, " + y.to_string());
  }
  return {args.in[0]};
}

std::vector<Sym> decompose_pool_grad(const DecomposeArgs& args) {
  const Sliding s = pool_sliding(args.attrs);
  const Sym x = args.in[0], dy = widen(args.in[2]);
  const Shape shape = x.shape();
  Shape padded = shape, windows_shape = dy.shape();
  for (int i = 0; i < s.rank; ++i) padded[2 + i] = s.padded(i, shape[2 + i]);
  for (int i = 0; i < s.rank; ++i) windows_shape.push_back(s.size[i]);
  Sym spread;
  if (args.attrs.i64("kind") == BP_POOL_MAX) {
    const Sym windows = windows_of(pad_spatial(x, s, -kInfinity), s);
    const Sym chosen = first_maximum(windows, args.in[1], s, shape);
    spread = where(chosen, insert_window_axes(dy, s), scalar(args.builder, 0, dy.dtype()));
  } else {
    spread = expand(insert_window_axes(averaged(dy, args.attrs, s, shape), s), windows_shape);
  }
  return {cast(unpad_spatial(sum_windows(spread, s, padded), s), x.dtype())};
}

}  // namespace

const OpDef op::pool = {
    .name = "pool",
    .doc = "y[n,c,p] = maximum or average over k of x[n, c, p * stride + k * dilation - pad_low] for x[N,C,spatial...]. "
           "Padding never is the maximum, unless a placement has nothing else; NaN wins.",
    .attrs = pool_attrs(),
    .infer = infer_pool,
    .decompose = decompose_pool,
    .vjp = vjp_pool,
    .native = {BP_OP_POOL, encode_pool<BP_OP_POOL>},
    .cost = [](const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
      return Cost{static_cast<double>(out[0].elements() * window_elements(pool_sliding(attrs))),
                  static_cast<double>(in[0].bytes() + out[0].bytes())};
    },
    .samples = [] {
      const auto kind = [](int64_t k) { return AttrArg{"kind", k}; };
      return std::vector<Sample>{
          {{sample({2, 3, 6, 5})}, {kind(1), {"window", Ints{2, 2}}}},
          {{sample({1, 2, 9})}, {kind(1), {"window", Ints{3}}, {"stride", Ints{2}}, {"pad_low", Ints{1}}}},
          {{sample({2, 3, 6, 5})}, {kind(2), {"window", Ints{3, 2}}, {"stride", Ints{1, 2}}, {"pad_low", Ints{1, 0}}}},
          {{sample({1, 2, 5, 5})},
           {kind(2), {"window", Ints{3, 3}}, {"stride", Ints{2, 2}}, {"pad_low", Ints{1, 1}}, {"count_padding", true}}},
          {{sample({1, 2, 4, 5, 6})}, {kind(2), {"window", Ints{2, 2, 2}}, {"dilation", Ints{1, 2, 1}}}},
          {{sample({1, 1, 7, 6})},
           {kind(1), {"window", Ints{3, 2}}, {"stride", Ints{1, 1}}, {"dilation", Ints{2, 1}}, {"pad_high", Ints{2, 1}}}},
          {{sample({3, 1, 1})}, {kind(1), {"window", Ints{1}}}},
          {{sample({0, 2, 4})}, {kind(2), {"window", Ints{2}}}},
      };
    },
};

const OpDef op::pool_grad = {
    .name = "pool_grad",
    .doc = "dx for y = pool(x) and dy of y's shape. Maximum: dy goes to the first maximum in row-major window order; "
           "average: dy / count to every element inside. Attributes as of the pool.",
    .min_inputs = 3,
    .max_inputs = 3,
    .attrs = pool_attrs(),
    .infer = infer_pool_grad,
    .decompose = decompose_pool_grad,
    .native = {BP_OP_POOL_GRAD, encode_pool<BP_OP_POOL_GRAD>},
    .saves = Saves::inputs,
    .cost = [](const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
      Cost cost;
      cost.flops = static_cast<double>(in[1].elements() * window_elements(pool_sliding(attrs)));
      for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
      cost.bytes += static_cast<double>(out[0].bytes());
      return cost;
    },
    .samples = [] {
      const auto kind = [](int64_t k) { return AttrArg{"kind", k}; };
      const auto tie = [](Shape shape) { return sample(shape, 1, 1); };  // y must be the maximum of x: all elements are 1
      return std::vector<Sample>{
          {{sample({2, 3, 6, 5}), sample({2, 3, 4, 4}), sample({2, 3, 4, 4})},
           {kind(2), {"window", Ints{3, 2}}, {"stride", Ints{1, 1}}}},
          {{sample({1, 2, 9}), sample({1, 2, 5}), sample({1, 2, 5})},
           {kind(2), {"window", Ints{3}}, {"stride", Ints{2}}, {"pad_low", Ints{1}}}},
          {{sample({1, 1, 3, 4, 5}), sample({1, 1, 1, 2, 2}), sample({1, 1, 1, 2, 2})},
           {kind(2), {"window", Ints{2, 2, 2}}, {"count_padding", true}}},
          {{tie({1, 2, 5, 4}), tie({1, 2, 3, 2}), sample({1, 2, 3, 2})},
           {kind(1), {"window", Ints{3, 2}}, {"stride", Ints{2, 2}}, {"pad_low", Ints{1, 0}}}, false},
          {{tie({3, 1, 1}), tie({3, 1, 1}), sample({3, 1, 1})}, {kind(1), {"window", Ints{1}}}, false},
          {{sample({0, 2, 4}), sample({0, 2, 2}), sample({0, 2, 2})}, {kind(2), {"window", Ints{2}}}},
      };
    },
};

}  // namespace backplane::graph
