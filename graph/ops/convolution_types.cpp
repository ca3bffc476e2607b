// SPDX-License-Identifier: Apache-2.0
#include "ops/convolution.h"

namespace backplane::graph {

namespace {

void check_ranks(const InferArgs& args, const char* operands) {
  require_one_float_dtype(args, 0, 2);
  const int rank = args.in[0].shape.rank();
  if (rank < 3 || rank > 5 || args.in[1].shape.rank() != rank) {
    args.fail(std::string(operands) + " must have equal ranks: batch, channels and 1 to 3 spatial axes");
  }
}

/// Checks filter w[O, C/g, ...] against the channels of x and of y (either may be dyn = not known here).
void check_channels(const InferArgs& args, const Shape& w, int64_t x_channels, int64_t y_channels) {
  const int64_t groups = args.attrs.i64("groups");
  if (groups < 1) args.fail("groups must be at least 1");
  if (w[0] % groups != 0) args.fail("groups = " + std::to_string(groups) + " does not divide the number of filters");
  if (!same_extent(x_channels, w[1] * groups)) {
    args.fail("x has " + std::to_string(x_channels) + " channels, but the filter wants " + std::to_string(w[1] * groups),
              "the filter is w[O, C/groups, ...]");
  }
  if (!same_extent(y_channels, w[0])) {
    args.fail("dy has " + std::to_string(y_channels) + " channels, but there are " + std::to_string(w[0]) + " filters");
  }
}

/// The placements of the window on x must be dy's spatial extents.
void check_placements(const InferArgs& args, const Sliding& s, const Shape& x, const Shape& dy) {
  check_fits(args, s, x);
  for (int i = 0; i < s.rank; ++i) {
    if (s.placements(i, x[2 + i]) != dy[2 + i]) {
      args.fail("spatial axis " + std::to_string(i) + " of dy has " + std::to_string(dy[2 + i]) +
                " elements, but the convolution gives " + std::to_string(s.placements(i, x[2 + i])));
    }
  }
}

}  // namespace

std::vector<AttrSpec> convolution_attrs(std::string_view shape_doc) {
  std::vector<AttrSpec> specs = sliding_attrs("elements between placements, per spatial axis; none = 1");
  specs.push_back({"groups", AttrKind::integer, int64_t{1}, "channels and filters are split into so many independent parts"});
  if (!shape_doc.empty()) specs.push_back({"shape", AttrKind::integers, Ints{}, shape_doc});
  return specs;
}

std::vector<Type> infer_convolution(const InferArgs& args) {
  check_ranks(args, "x and w");
  const Shape &x = args.in[0].shape, &w = args.in[1].shape;
  check_channels(args, w, x[1], dyn);
  const Ints size = spatial_of(w);
  check_sliding(args, x.rank() - 2, size);
  const Sliding s = sliding_of(args.attrs, size, kUnitStride);
  check_fits(args, s, x);
  Shape y{x[0], w[0]};
  for (int i = 0; i < s.rank; ++i) y.push_back(s.placements(i, x[2 + i]));
  return {{args.in[0].dtype, y}};
}

Ints data_extents(const Attrs& attrs, const Sliding& s, const Shape& dy) {
  const std::span<const int64_t> given = attrs.ints("shape");
  if (!given.empty()) return Ints(given.begin(), given.end());
  Ints extents;
  for (int i = 0; i < s.rank; ++i) {
    extents.push_back((dy[2 + i] - 1) * s.stride[i] + s.reach(i) - s.low[i] - s.high[i]);
  }
  return extents;
}

std::vector<Type> infer_convolution_grad_data(const InferArgs& args) {
  check_ranks(args, "dy and w");
  const Shape &dy = args.in[0].shape, &w = args.in[1].shape;
  check_channels(args, w, dyn, dy[1]);
  const Ints size = spatial_of(w);
  check_sliding(args, dy.rank() - 2, size);
  const Sliding s = sliding_of(args.attrs, size, kUnitStride);
  const Ints extents = data_extents(args.attrs, s, dy);
  if (extents.size() != size.size() || *std::min_element(extents.begin(), extents.end()) < 0) {
    args.fail("'shape' must give one extent that is not negative per spatial axis of x");
  }
  const Shape dx = join({{dy[0], w[1] * args.attrs.i64("groups")}, extents});
  check_placements(args, s, dx, dy);
  return {{args.in[0].dtype, dx}};
}

std::vector<Type> infer_convolution_grad_filter(const InferArgs& args) {
  check_ranks(args, "x and dy");
  const Shape &x = args.in[0].shape, &dy = args.in[1].shape;
  const std::span<const int64_t> extents = args.attrs.ints("shape");
  const Ints size(extents.begin(), extents.end());
  const int64_t groups = args.attrs.i64("groups");
  if (static_cast<int>(size.size()) != x.rank() - 2) args.fail("'shape' must give the filter's extent per spatial axis");
  if (groups < 1 || x[1] % groups != 0) args.fail("groups does not divide the number of channels");
  if (!same_extent(x[0], dy[0])) args.fail("x and dy have different batch extents");
  const Shape dw = join({{dy[1], x[1] / groups}, size});
  check_channels(args, dw, x[1], dy[1]);
  check_sliding(args, x.rank() - 2, size);
  check_placements(args, sliding_of(args.attrs, size, kUnitStride), x, dy);
  return {{args.in[0].dtype, dw}};
}

void encode_convolution(uint32_t code, const Attrs& attrs, const Shape& filter, KernelOp& op) {
  const Sliding s = sliding_of(attrs, spatial_of(filter), kUnitStride);
  bp_convolution_attrs native{};
  native.size = sizeof native;
  native.spatial_rank = static_cast<uint32_t>(s.rank);
  native.groups = static_cast<uint32_t>(attrs.i64("groups"));
  for (int i = 0; i < s.rank; ++i) {
    native.stride[i] = s.stride[i];
    native.dilation[i] = s.dilation[i];
    native.pad_low[i] = s.low[i];
    native.pad_high[i] = s.high[i];
  }
  op.code = code;
  op.set_attrs(native);
}

Cost cost_of_convolution(const Type& y, const Type& w, std::span<const Type> in, const Type& out) {
  Cost cost;
  cost.flops = 2.0 * static_cast<double>(y.elements()) * static_cast<double>(w.elements() / std::max<int64_t>(1, w.shape[0]));
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  cost.bytes += static_cast<double>(out.bytes());
  return cost;
}

}  // namespace backplane::graph
