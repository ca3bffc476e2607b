// SPDX-License-Identifier: Apache-2.0
// Sliding windows as a view, and the adjoint that adds windows back. The two are each other's VJP, and between them
// carry convolution and pooling where a device has no kernel for those.

#include "ops/common.h"

namespace backplane::graph {

namespace {

/// One windowed axis: position p and place s in the window read element p * stride + s * dilation.
struct Windowed {
  int axis;
  int64_t size, stride, dilation;
  int64_t positions(int64_t extent) const {
    const int64_t room = extent - dilation * (size - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
};

std::vector<Windowed> windows(const InferArgs& args, int rank) {
  const auto axes = args.attrs.ints("axes"), size = args.attrs.ints("size"), stride = args.attrs.ints("stride"),
             dilation = args.attrs.ints("dilation");
  if (size.size() != axes.size() || stride.size() != axes.size() || dilation.size() != axes.size()) {
    args.fail("axes, size, stride and dilation need as many entries");
  }
  std::vector<Windowed> out;
  uint32_t seen = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (size[i] < 1 || stride[i] < 1 || dilation[i] < 1) args.fail("size, stride and dilation have to be at least 1");
    const int64_t axis = normalize_axis(axes[i], rank, args.op);
    if ((seen >> axis & 1u) != 0) args.fail("axis " + std::to_string(axis) + " is named twice");
    seen |= 1u << axis;
    out.push_back({static_cast<int>(axis), size[i], stride[i], dilation[i]});
  }
  return out;
}

std::vector<Windowed> windows(const Attrs& attrs, int rank) {
  return windows(InferArgs{"window", attrs, {}, {}}, rank);
}

Shape windowed_shape(const Shape& shape, std::span<const Windowed> ws) {
  Shape out = shape;
  for (const Windowed& w : ws) {
    if (shape[w.axis] != dyn) out[w.axis] = w.positions(shape[w.axis]);
  }
  for (const Windowed& w : ws) out.push_back(w.size);
  return out;
}

std::vector<Type> infer_window(const InferArgs& args) {
  const Shape& in = args.in[0].shape;
  const std::vector<Windowed> ws = windows(args, in.rank());
  if (in.rank() + ws.size() > BP_MAX_RANK) args.fail("the result would have a rank above 8");
  for (const Windowed& w : ws) {
    if (in[w.axis] == dyn) args.fail("axis " + std::to_string(w.axis) + " has an unknown extent");
  }
  return {{args.in[0].dtype, windowed_shape(in, ws)}};
}

std::optional<Layout> view_window(const Attrs& attrs, const Type& in, const Layout& layout, const Type&) {
  Layout result = layout;
  size_t next = static_cast<size_t>(in.shape.rank());
  for (const Windowed& w : windows(attrs, in.shape.rank())) {
    int64_t& stride = result.strides[static_cast<size_t>(w.axis)];
    result.strides[next++] = stride * w.dilation;
    stride *= w.stride;
  }
  return result;
}

std::vector<AttrArg> window_attrs(const Attrs& attrs) {
  std::vector<AttrArg> out;
  for (const AttrArg& arg : attrs.args()) {
    if (arg.name != "shape") out.push_back(arg);
  }
  return out;
}

void window_vjp(VjpArgs& a) {
  std::vector<AttrArg> attrs = window_attrs(a.attrs);
  attrs.push_back({"shape", a.in[0].shape().vector()});
  a.dx[0] = apply(op::window_sum, attrs, std::span(&a.dy[0], 1)).front();
}

std::vector<Type> infer_window_sum(const InferArgs& args) {
  require_kind(args, Kinds::numeric);
  const Shape target(args.attrs.ints("shape"));
  const Shape expected = windowed_shape(target, windows(args, target.rank()));
  if (args.in[0].shape != expected) {
    args.fail("windows of a tensor " + target.to_string() + " have shape " + expected.to_string(), "check `shape`");
  }
  return {{args.in[0].dtype, target}};
}

/// i32 [P1, P2, ..., S1, S2, ...]: where place s of window p lies in the row-major space of the windowed axes.
Sym window_indices(Builder& builder, const Shape& target, std::span<const Windowed> ws) {
  const int n = static_cast<int>(ws.size());
  Sym sum;
  int64_t weight = 1;
  for (int i = n - 1; i >= 0; --i) {
    const Windowed& w = ws[static_cast<size_t>(i)];
    const int64_t positions = w.positions(target[w.axis]);
    const auto along = [&](int64_t count, int axis, int64_t factor) {
      Shape shape(Ints(static_cast<size_t>(2 * n), 1));
      shape[axis] = count;
      return reshape(iota(builder, count, i32), shape) * static_cast<double>(factor);
    };
    const Sym term = along(positions, i, w.stride * weight) + along(w.size, n + i, w.dilation * weight);
    sum = sum ? sum + term : term;
    weight *= target[w.axis];
  }
  return sum;
}

/// Windowed axes go last and are flattened, so that one scatter_add over [outer, space, 1] adds all windows.
std::vector<Sym> decompose_window_sum(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  const Shape target(a.attrs.ints("shape"));
  const std::vector<Windowed> ws = windows(a.attrs, target.rank());
  if (ws.empty()) return {x};
  Ints order, outer_shape;
  for (int i = 0; i < target.rank(); ++i) {
    const bool windowed = std::any_of(ws.begin(), ws.end(), [&](const Windowed& w) { return w.axis == i; });
    if (!windowed) order.push_back(i), outer_shape.push_back(target[i]);
  }
  Ints target_order = order;
  for (const Windowed& w : ws)
    order.push_back(w.axis), target_order.push_back(w.axis), outer_shape.push_back(target[w.axis]);
  for (int i = target.rank(); i < x.rank(); ++i) order.push_back(i);

  const Sym moved = permute(x, order);
  const int outer_rank = target.rank() - static_cast<int>(ws.size());
  const int64_t outer = product(moved.shape(), 0, outer_rank),
                places = product(moved.shape(), outer_rank, moved.rank());
  const int64_t space = product(Shape(outer_shape), outer_rank, target.rank());
  const Sym indices = reshape(window_indices(a.builder, target, ws), {places});
  const Sym sums =
      apply1(op::scatter_add_rows, {},
             {full(a.builder, 0, x.dtype(), {outer, space, 1}), indices, reshape(moved, {outer, places, 1})});
  Ints inverse(target_order.size());
  for (size_t i = 0; i < target_order.size(); ++i)
    inverse[static_cast<size_t>(target_order[i])] = static_cast<int64_t>(i);
  return {permute(reshape(sums, Shape(outer_shape)), inverse)};
}

void window_sum_vjp(VjpArgs& a) { a.dx[0] = apply(op::window, window_attrs(a.attrs), std::span(&a.dy[0], 1)).front(); }

}  // namespace

const OpDef op::window = {
    .name = "window",
    .doc =
        "Sliding windows. Each named axis of extent L becomes the window's position, (L - dilation (size - 1) - 1) / "
        "stride + 1 "
        "of them, and an axis of extent size is appended: y[.., p, .., s] = x[.., p stride + s dilation, ..].",
    .attrs = {{"axes", AttrKind::integers, Ints{}, "axes to slide along", true},
              {"size", AttrKind::integers, Ints{}, "extent of the window, per axis", true},
              {"stride", AttrKind::integers, Ints{}, "distance of windows, per axis", true},
              {"dilation", AttrKind::integers, Ints{}, "distance of elements in a window, per axis", true}},
    .tier = Tier::view,
    .infer = infer_window,
    .vjp = window_vjp,
    .saves = Saves::nothing,
    .view = view_window,
    .samples = []() -> std::vector<Sample> {
      const auto w = [](Ints axes, Ints size, Ints stride, Ints dilation) {
        return std::vector<AttrArg>{{"axes", axes}, {"size", size}, {"stride", stride}, {"dilation", dilation}};
      };
      return {{{sample({2, 9})}, w({1}, {3}, {1}, {1})},
              {{sample({2, 3, 6, 7})}, w({2, 3}, {3, 2}, {1, 2}, {2, 1})},
              {{sample({8})}, w({-1}, {2}, {2}, {1})},
              {{sample({5, 2})}, w({0}, {1}, {3}, {1})},
              {{sample({3, 2})}, w({0}, {4}, {1}, {1})}};
    },
};

const OpDef op::window_sum = {
    .name = "window_sum",
    .doc =
        "Adjoint of window: y of the given shape is the sum of all windows in x at their places, "
        "y[j] = sum of x[p, s] over p stride + s dilation = j.",
    .attrs = {{"axes", AttrKind::integers, Ints{}, "axes to slide along", true},
              {"size", AttrKind::integers, Ints{}, "extent of the window, per axis", true},
              {"stride", AttrKind::integers, Ints{}, "distance of windows, per axis", true},
              {"dilation", AttrKind::integers, Ints{}, "distance of elements in a window, per axis", true},
              {"shape", AttrKind::integers, Ints{}, "extents of the result", true}},
    .infer = infer_window_sum,
    .decompose = decompose_window_sum,
    .vjp = window_sum_vjp,
    .saves = Saves::nothing,
    .samples = []() -> std::vector<Sample> {
      const auto w = [](Ints axes, Ints size, Ints stride, Ints dilation, Ints shape) {
        return std::vector<AttrArg>{
            {"axes", axes}, {"size", size}, {"stride", stride}, {"dilation", dilation}, {"shape", shape}};
      };
      return {{{sample({2, 7, 3})}, w({1}, {3}, {1}, {1}, {2, 9})},
              {{sample({2, 3, 2, 3, 3, 2})}, w({2, 3}, {3, 2}, {1, 2}, {2, 1}, {2, 3, 6, 7})},
              {{sample({4, 2})}, w({0}, {2}, {2}, {1}, {9})},
              {{sample({2, 2, 1})}, w({0}, {1}, {3}, {1}, {5, 2})},
              {{sample({0, 2, 4})}, w({0}, {4}, {1}, {1}, {3, 2})}};
    },
};

}  // namespace backplane::graph
