// SPDX-License-Identifier: Apache-2.0
// The geometry that convolution and pooling share: attributes, their checks, padding and windows.
#include "ops/nn.h"

namespace backplane::graph {

namespace {

int64_t entry(std::span<const int64_t> list, int i, int64_t fallback) {
  return list.empty() ? fallback : list[static_cast<size_t>(i)];
}

int64_t lowest(std::span<const int64_t> list) {
  return list.empty() ? std::numeric_limits<int64_t>::max() : *std::min_element(list.begin(), list.end());
}

/// Amounts per axis of x, from the spatial ones: f(i) for axis 2 + i.
template <class F>
Ints per_axis(const Shape& shape, int64_t other, const Sliding& s, F f) {
  Ints values(static_cast<size_t>(shape.rank()), other);
  for (int i = 0; i < s.rank; ++i) values[static_cast<size_t>(2 + i)] = f(i);
  return values;
}

bool any_positive(const Ints& values) {
  return std::any_of(values.begin(), values.end(), [](int64_t v) { return v > 0; });
}

/// Removes low[i] and high[i] elements at the ends of each axis.
Sym crop(Sym x, const Ints& low, const Ints& high) {
  if (!any_positive(low) && !any_positive(high)) return x;
  Ints stop = x.shape().vector();
  for (size_t i = 0; i < stop.size(); ++i) stop[i] -= high[i];
  return slice(x, low, stop, Ints(stop.size(), 1));
}

Sym grow(Sym x, const Ints& low, const Ints& high, double value) {
  if (!any_positive(low) && !any_positive(high)) return x;
  return apply1(op::pad, {{"low", low}, {"high", high}, {"value", value}}, {x});
}

}  // namespace

Ints Sliding::axes() const {
  Ints list;
  for (int i = 0; i < rank; ++i) list.push_back(2 + i);
  return list;
}

bool Sliding::has_padding() const {
  for (int i = 0; i < rank; ++i) {
    if (low[i] != 0 || high[i] != 0) return true;
  }
  return false;
}

Sliding sliding_of(const Attrs& attrs, std::span<const int64_t> size, const std::array<int64_t, 3>& stride_fallback) {
  Sliding s;
  s.rank = static_cast<int>(size.size());
  for (int i = 0; i < s.rank; ++i) {
    s.size[i] = size[static_cast<size_t>(i)];
    s.stride[i] = entry(attrs.ints("stride"), i, stride_fallback[i]);
    s.dilation[i] = entry(attrs.ints("dilation"), i, 1);
    s.low[i] = entry(attrs.ints("pad_low"), i, 0);
    s.high[i] = entry(attrs.ints("pad_high"), i, s.low[i]);
  }
  return s;
}

void check_sliding(const InferArgs& args, int spatial_rank, std::span<const int64_t> size) {
  for (const char* name : {"stride", "dilation", "pad_low", "pad_high"}) {
    const size_t given = args.attrs.ints(name).size();
    if (given != 0 && given != static_cast<size_t>(spatial_rank)) {
      args.fail("attribute '" + std::string(name) + "' has " + std::to_string(given) + " entries for " +
                    std::to_string(spatial_rank) + " spatial axes",
                "give one entry per spatial axis, or none for the default");
    }
  }
  if (lowest(args.attrs.ints("stride")) < 1) args.fail("a stride is smaller than 1");
  if (lowest(args.attrs.ints("dilation")) < 1) args.fail("a dilation is smaller than 1");
  if (lowest(size) < 1) args.fail("an extent of the window is smaller than 1");
}

void check_fits(const InferArgs& args, const Sliding& s, const Shape& x) {
  for (int i = 0; i < s.rank; ++i) {
    const int64_t extent = x[2 + i];
    const std::string axis = "spatial axis " + std::to_string(i);
    if (std::max<int64_t>(0, -s.low[i]) + std::max<int64_t>(0, -s.high[i]) > extent) {
      args.fail(axis + " has " + std::to_string(extent) + " elements, and negative padding removes more than that");
    }
    if (s.placements(i, extent) < 1) {
      args.fail("the window reaches over " + std::to_string(s.reach(i)) + " elements, but " + axis + " has " +
                    std::to_string(s.padded(i, extent)) + " with padding",
                "pad more, or use a smaller window or dilation");
    }
  }
}

std::vector<AttrSpec> sliding_attrs(std::string_view stride_doc) {
  const Ints none;
  return {
      {"stride", AttrKind::integers, none, stride_doc},
      {"dilation", AttrKind::integers, none, "distance of neighbours inside the window, per spatial axis; none = 1"},
      {"pad_low", AttrKind::integers, none, "elements added before the first, per spatial axis; negative crops; none = 0"},
      {"pad_high", AttrKind::integers, none, "elements added after the last; none = as pad_low"},
  };
}

Sym pad_spatial(Sym x, const Sliding& s, double value) {
  const Shape shape = x.shape();
  const Ints low = per_axis(shape, 0, s, [&](int i) { return s.low[i]; });
  const Ints high = per_axis(shape, 0, s, [&](int i) { return s.high[i]; });
  const auto part = [](const Ints& values, int64_t sign) {
    Ints result;
    for (int64_t v : values) result.push_back(std::max<int64_t>(0, sign * v));
    return result;
  };
  return grow(crop(x, part(low, -1), part(high, -1)), part(low, 1), part(high, 1), value);
}

Sym unpad_spatial(Sym x, const Sliding& s) {
  Sliding inverse = s;
  for (int i = 0; i < s.rank; ++i) {
    inverse.low[i] = -s.low[i];
    inverse.high[i] = -s.high[i];
  }
  return pad_spatial(x, inverse, 0);
}

namespace {

std::vector<AttrArg> window_args(const Sliding& s) {
  const auto list = [&](const std::array<int64_t, 3>& values) { return Ints(values.begin(), values.begin() + s.rank); };
  return {{"axes", s.axes()}, {"size", list(s.size)}, {"stride", list(s.stride)}, {"dilation", list(s.dilation)}};
}

}  // namespace

Sym windows_of(Sym padded, const Sliding& s) {
  return apply(op::window, window_args(s), std::span(&padded, 1)).front();
}

Sym sum_windows(Sym windows, const Sliding& s, const Shape& shape) {
  std::vector<AttrArg> args = window_args(s);
  args.push_back({"shape", shape.vector()});
  return apply(op::window_sum, args, std::span(&windows, 1)).front();
}

}  // namespace backplane::graph
