// SPDX-License-Identifier: Apache-2.0
// Views: ops that only change how a buffer is looked at. `view` maps a layout to the result's layout in the same
// buffer. Those here always can; reshape (reshape.cpp) is the one that may need a copy first.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Shape shape_attr(const Attrs& attrs) { return Shape(attrs.ints("shape")); }

// permute, expand -----------------------------------------------------------------------------------------------------

std::vector<Type> infer_permute(const InferArgs& args) {
  const auto axes = args.attrs.ints("axes");
  const Shape& in = args.in[0].shape;
  uint32_t seen = 0;
  for (const int64_t axis : axes) {
    if (axis >= 0 && axis < in.rank()) seen |= 1u << axis;
  }
  if (static_cast<int>(axes.size()) != in.rank() || seen != (1u << in.rank()) - 1) {
    args.fail("axes " + Shape(axes).to_string() + " are not a permutation of 0 ... rank - 1");
  }
  Shape out;
  for (const int64_t axis : axes) out.push_back(in[static_cast<int>(axis)]);
  return {{args.in[0].dtype, out}};
}

std::optional<Layout> view_permute(const Attrs& attrs, const Type&, const Layout& layout, const Type&) {
  Layout result{layout.offset, {}};
  size_t i = 0;
  for (const int64_t axis : attrs.ints("axes")) result.strides[i++] = layout.strides[static_cast<size_t>(axis)];
  return result;
}

void permute_vjp(VjpArgs& a) {
  const auto axes = a.attrs.ints("axes");
  Ints inverse(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) inverse[static_cast<size_t>(axes[i])] = static_cast<int64_t>(i);
  a.dx[0] = permute(a.dy[0], inverse);
}

std::vector<Type> infer_expand(const InferArgs& args) {
  Shape out = shape_attr(args.attrs);
  const Shape& in = args.in[0].shape;
  const int added = out.rank() - in.rank();
  if (added < 0) args.fail("cannot expand to " + out.to_string() + ", which has a lower rank");
  for (int i = 0; i < out.rank(); ++i) {
    if (i < added) {
      if (out[i] < 0) args.fail("the extent of a new axis cannot be -1");
      continue;
    }
    const int64_t have = in[i - added];
    if (out[i] == -1) out[i] = have;
    if (have != out[i] && have != 1) {
      args.fail("cannot expand extent " + std::to_string(have) + " to " + std::to_string(out[i]) + " on axis " +
                    std::to_string(i),
                "only extent 1 can be repeated");
    }
  }
  return {{args.in[0].dtype, out}};
}

std::optional<Layout> view_expand(const Attrs&, const Type& in, const Layout& layout, const Type& out) {
  Layout result{layout.offset, {}};
  const int added = out.shape.rank() - in.shape.rank();
  for (int i = added; i < out.shape.rank(); ++i) {
    const bool repeats = in.shape[i - added] == 1 && out.shape[i] != 1;
    result.strides[static_cast<size_t>(i)] = repeats ? 0 : layout.strides[static_cast<size_t>(i - added)];
  }
  return result;
}

// slice, flip ---------------------------------------------------------------------------------------------------------

std::vector<Type> infer_slice(const InferArgs& args) {
  const auto start = args.attrs.ints("start"), stop = args.attrs.ints("stop"), step = args.attrs.ints("step");
  const Shape& in = args.in[0].shape;
  const auto rank = static_cast<size_t>(in.rank());
  if (start.size() != rank || stop.size() != rank || step.size() != rank) {
    args.fail("start, stop and step need one entry per axis");
  }
  Shape out;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t extent = in[static_cast<int>(i)];
    const auto refuse = [&](const char* what) {
      args.fail("on axis " + std::to_string(i) + " " + std::to_string(start[i]) + ":" + std::to_string(stop[i]) + ":" +
                std::to_string(step[i]) + " " + what);
    };
    const bool to_end = stop[i] == -1 && step[i] > 0;
    if (step[i] == 0) refuse("has step 0");
    if (extent == dyn) {
      if (!to_end || start[i] != 0 || step[i] != 1)
        refuse("cuts an unknown extent; only 0:-1:1, all of it, is possible");
      out.push_back(dyn);
      continue;
    }
    const int64_t end = to_end ? extent : stop[i], low = step[i] > 0 ? 0 : -1, high = step[i] > 0 ? extent : extent - 1;
    if (start[i] < low || start[i] > high || end < low || end > high) refuse("is out of range");
    const int64_t span = step[i] > 0 ? end - start[i] : start[i] - end, by = step[i] > 0 ? step[i] : -step[i];
    out.push_back(span > 0 ? (span + by - 1) / by : 0);
  }
  return {{args.in[0].dtype, out}};
}

std::optional<Layout> view_slice(const Attrs& attrs, const Type&, const Layout& layout, const Type& out) {
  Layout result = layout;
  const auto start = attrs.ints("start"), step = attrs.ints("step");
  for (size_t i = 0; i < start.size(); ++i) {
    if (out.elements() != 0) result.offset += start[i] * layout.strides[i];  // an empty view keeps a legal offset
    result.strides[i] = layout.strides[i] * step[i];
  }
  return result;
}

void slice_vjp(VjpArgs& a) {
  const auto start = a.attrs.ints("start"), step = a.attrs.ints("step");
  a.dx[0] = apply1(op::place,
                   {{"shape", a.in[0].shape().vector()},
                    {"start", Ints(start.begin(), start.end())},
                    {"step", Ints(step.begin(), step.end())}},
                   {a.dy[0]});
}

Ints flip_axes(const Attrs& attrs, const Type& in) {
  return normalize_axes(attrs.ints("axes"), in.shape.rank(), "flip");
}

std::vector<Type> infer_flip(const InferArgs& args) {
  flip_axes(args.attrs, args.in[0]);
  return {args.in[0]};
}

std::optional<Layout> view_flip(const Attrs& attrs, const Type& in, const Layout& layout, const Type&) {
  Layout result = layout;
  for (const int64_t axis : flip_axes(attrs, in)) {
    int64_t& stride = result.strides[static_cast<size_t>(axis)];
    if (in.elements() != 0) result.offset += (in.shape[static_cast<int>(axis)] - 1) * stride;
    stride = -stride;
  }
  return result;
}

}  // namespace

const OpDef op::permute = {
    .name = "permute",
    .doc = "Axis i of y is axis axes[i] of x.",
    .attrs = {{"axes", AttrKind::integers, Ints{}, "a permutation of 0 ... rank - 1", true}},
    .tier = Tier::view,
    .infer = infer_permute,
    .vjp = permute_vjp,
    .saves = Saves::nothing,
    .view = view_permute,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 6})}, {{"axes", Ints{1, 0}}}},
              {{sample({2, 3, 5})}, {{"axes", Ints{2, 0, 1}}}},
              {{sample({1, 3, 1, 2})}, {{"axes", Ints{3, 1, 0, 2}}}},
              {{sample({0, 3})}, {{"axes", Ints{1, 0}}}},
              {{sample({})}, {{"axes", Ints{}}}}};
    },
};

const OpDef op::expand = {
    .name = "expand",
    .doc =
        "Repeats axes of extent 1 up to the given shape, which may add axes in front; -1 keeps the operand's extent.",
    .attrs = {{"shape", AttrKind::integers, Ints{}, "extents of the result", true}},
    .tier = Tier::view,
    .infer = infer_expand,
    .vjp = [](VjpArgs& a) { a.dx[0] = a.dy[0]; },
    .saves = Saves::nothing,
    .view = view_expand,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 1})}, {{"shape", Ints{4, 6}}}},
              {{sample({3})}, {{"shape", Ints{2, 5, 3}}}},
              {{sample({})}, {{"shape", Ints{2, 2}}}},
              {{sample({1, 3})}, {{"shape", Ints{7, -1}}}},
              {{sample({1, 3})}, {{"shape", Ints{0, 3}}}}};
    },
};

const OpDef op::slice = {
    .name = "slice",
    .doc =
        "y[i, ...] = x[start + i * step, ...] up to but without stop. Start and stop lie inside the extent; steps may "
        "be "
        "negative, stop is then -1 to reach element 0. With a positive step, stop -1 means the end.",
    .attrs = {{"start", AttrKind::integers, Ints{}, "first index, per axis", true},
              {"stop", AttrKind::integers, Ints{}, "index after the last, per axis", true},
              {"step", AttrKind::integers, Ints{}, "distance, per axis, not 0", true}},
    .tier = Tier::view,
    .infer = infer_slice,
    .vjp = slice_vjp,
    .saves = Saves::nothing,
    .view = view_slice,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({6, 5})}, {{"start", Ints{1, 0}}, {"stop", Ints{5, 5}}, {"step", Ints{1, 2}}}},
              {{sample({7})}, {{"start", Ints{6}}, {"stop", Ints{-1}}, {"step", Ints{-3}}}},
              {{sample({7, 3})}, {{"start", Ints{5, 2}}, {"stop", Ints{1, 0}}, {"step", Ints{-2, -1}}}},
              {{sample({4})}, {{"start", Ints{2}}, {"stop", Ints{2}}, {"step", Ints{1}}}},
              {{sample({1, 3})}, {{"start", Ints{0, 1}}, {"stop", Ints{-1, 2}}, {"step", Ints{1, 1}}}}};
    },
};

const OpDef op::flip = {
    .name = "flip",
    .doc = "y is x read backwards along the given axes.",
    .attrs = {{"axes", AttrKind::integers, Ints{}, "axes to reverse; none means all"}},
    .tier = Tier::view,
    .infer = infer_flip,
    .vjp =
        [](VjpArgs& a) {
          a.dx[0] = apply1(op::flip, {{"axes", flip_axes(a.attrs, a.in[0].type())}}, {a.dy[0]});
        },
    .saves = Saves::nothing,
    .view = view_flip,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 5})}, {{"axes", Ints{0}}}},
              {{sample({2, 3, 4})}, {{"axes", Ints{-1, 1}}}},
              {{sample({1, 7})}, {}},
              {{sample({0, 2})}, {}}};
    },
};

const OpDef op::stop_gradient = {
    .name = "stop_gradient",
    .doc = "y = x, and no gradient flows back.",
    .tier = Tier::view,
    .infer = infer_same<Kinds::any>,
    .gradient = Gradient::blocked,
    .smooth = false,
    .saves = Saves::nothing,
    .view = [](const Attrs&, const Type&, const Layout& layout, const Type&) -> std::optional<Layout> {
      return layout;
    },
    .samples = unary_samples<-2.0, 2.0>,
};

}  // namespace backplane::graph
