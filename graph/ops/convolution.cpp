// SPDX-License-Identifier: Apache-2.0
// Convolution of 1 to 3 spatial dimensions with its two adjoints. The three are linear in each operand and closed under
// differentiation: every VJP is one of the other two. What it does not do: Winograd, FFT; those are variants of a device.
//
// Decomposition: the windows of the padded input are laid out as columns [groups, C/g * K, N * P] (K filter elements, P
// placements), and one batched matrix product with the filter [groups, O/g, C/g * K] does the rest.
#include "ops/convolution.h"

namespace backplane::graph {

namespace {

int64_t product(const Ints& values) {
  int64_t result = 1;
  for (int64_t v : values) result *= v;
  return result;
}

/// The arguments of `attrs` for another op of the family; `shape` only where that op has it.
std::vector<AttrArg> family_args(const Attrs& attrs, const Ints* shape) {
  std::vector<AttrArg> args;
  for (AttrArg& arg : attrs.args()) {
    if (arg.name != "shape") args.push_back(std::move(arg));
  }
  if (shape != nullptr) args.push_back({"shape", *shape});
  return args;
}

Sym forward(const Attrs& attrs, Sym x, Sym w) {
  const Sym in[] = {x, w};
  return apply(op::convolution, family_args(attrs, nullptr), in).front();
}

Sym grad_data(const Attrs& attrs, Sym dy, Sym w, const Ints& shape) {
  const Sym in[] = {dy, w};
  return apply(op::convolution_grad_data, family_args(attrs, &shape), in).front();
}

Sym grad_filter(const Attrs& attrs, Sym x, Sym dy, const Ints& shape) {
  const Sym in[] = {x, dy};
  return apply(op::convolution_grad_filter, family_args(attrs, &shape), in).front();
}

template <uint32_t kCode>
void encode(const Attrs& attrs, std::span<const Type> in, std::span<const Type> out, KernelOp& op) {
  encode_convolution(kCode, attrs, kCode == BP_OP_CONVOLUTION_GRAD_FILTER ? out[0].shape : in[1].shape, op);
}

/// Windows of x as columns [groups, C/g * K, N * P].
Sym columns_of(Sym x, const Sliding& s, int64_t groups) {
  const Sym windows = windows_of(pad_spatial(x, s, 0), s);
  const Shape& shape = windows.shape();
  Ints order = {1};
  for (int i = 0; i < s.rank; ++i) order.push_back(2 + s.rank + i);
  order.push_back(0);
  for (int i = 0; i < s.rank; ++i) order.push_back(2 + i);
  const int64_t placements = windows.type().shape[0] * product(Ints(shape.begin() + 2, shape.begin() + 2 + s.rank));
  const int64_t rows = shape[1] / groups * product(Ints(shape.begin() + 2 + s.rank, shape.end()));
  return reshape(permute(windows, order), {groups, rows, placements});
}

/// y[N, O, P...] as [groups, O/g, N * P].
Sym rows_of(Sym y, int64_t groups) {
  const Shape shape = y.shape();
  Ints order = {1, 0};
  for (int i = 2; i < shape.rank(); ++i) order.push_back(i);
  return reshape(permute(y, order), {groups, shape[1] / groups, shape[0] * product(spatial_of(shape))});
}

Sym filter_matrix(Sym w, int64_t groups) {
  const Shape shape = w.shape();
  return reshape(w, {groups, shape[0] / groups, shape[1] * product(spatial_of(shape))});
}

/// The filter that turns the adjoint of a convolution into a convolution: mirrored, inputs and outputs exchanged.
Sym mirrored(Sym w, int64_t groups) {
  const Shape shape = w.shape();
  const Ints size = spatial_of(shape);
  Ints order = {0, 2, 1}, flipped;
  for (size_t i = 0; i < size.size(); ++i) {
    order.push_back(static_cast<int64_t>(3 + i));
    flipped.push_back(static_cast<int64_t>(2 + i));
  }
  const Sym split = reshape(w, join({{groups, shape[0] / groups, shape[1]}, size}));
  const Sym swapped = reshape(permute(split, order), join({{groups * shape[1], shape[0] / groups}, size}));
  return apply1(op::flip, {{"axes", flipped}}, {swapped});
}

/// Stride 1: dx is a convolution of dy with the mirrored filter.
Sym grad_data_by_convolution(Sym dy, Sym w, const Sliding& s, int64_t groups, const Ints& extents) {
  Ints dilation, low, high;
  for (int i = 0; i < s.rank; ++i) {
    dilation.push_back(s.dilation[i]);
    low.push_back(s.reach(i) - 1 - s.low[i]);
    high.push_back(extents[static_cast<size_t>(i)] + s.reach(i) - 1 - dy.shape()[2 + i] - low.back());
  }
  return apply1(op::convolution, {{"dilation", dilation}, {"pad_low", low}, {"pad_high", high}, {"groups", groups}},
                {dy, mirrored(w, groups)});
}

/// Any stride: the columns of dx, added up where windows overlap.
Sym grad_data_by_windows(Sym dy, Sym w, const Sliding& s, int64_t groups, const Ints& extents) {
  const int64_t batch = dy.shape()[0], channels = w.shape()[1] * groups;
  const Ints size = spatial_of(w.shape()), placements = spatial_of(dy.shape());
  const Sym columns = apply1(op::batch_matmul, {}, {transpose(filter_matrix(w, groups)), rows_of(dy, groups)});
  Ints order = {1 + s.rank, 0};
  for (int i = 0; i < s.rank; ++i) order.push_back(2 + s.rank + i);
  for (int i = 0; i < s.rank; ++i) order.push_back(1 + i);
  const Sym windows = permute(reshape(columns, join({{channels}, size, {batch}, placements})), order);
  Ints padded;
  for (int i = 0; i < s.rank; ++i) padded.push_back(s.padded(i, extents[static_cast<size_t>(i)]));
  return unpad_spatial(sum_windows(windows, s, join({{batch, channels}, padded})), s);
}

std::vector<Sym> decompose_convolution(const DecomposeArgs& args) {
  const Sym x = args.in[0], w = args.in[1];
  const int64_t groups = args.attrs.i64("groups");
  const Sliding s = sliding_of(args.attrs, spatial_of(w.shape()), kUnitStride);
  const Sym y = apply1(op::batch_matmul, {}, {filter_matrix(w, groups), columns_of(x, s, groups)});
  Ints placements, order = {1, 0};
  for (int i = 0; i < s.rank; ++i) {
    placements.push_back(s.placements(i, x.shape()[2 + i]));
    order.push_back(2 + i);
  }
  return {permute(reshape(y, join({{w.shape()[0], x.shape()[0]}, placements})), order)};
}

void vjp_convolution(VjpArgs& args) {
  const Sym x = args.in[0], w = args.in[1];
  if (args.wants[0]) args.dx[0] = grad_data(args.attrs, args.dy[0], w, spatial_of(x.shape()));
  if (args.wants[1]) args.dx[1] = grad_filter(args.attrs, x, args.dy[0], spatial_of(w.shape()));
}

std::vector<Sym> decompose_convolution_grad_data(const DecomposeArgs& args) {
  const Sym dy = args.in[0], w = args.in[1];
  const Sliding s = sliding_of(args.attrs, spatial_of(w.shape()), kUnitStride);
  const Ints extents = data_extents(args.attrs, s, dy.shape());
  const bool unit = std::all_of(s.stride.begin(), s.stride.begin() + s.rank, [](int64_t v) { return v == 1; });
  return {(unit ? grad_data_by_convolution : grad_data_by_windows)(dy, w, s, args.attrs.i64("groups"), extents)};
}

void vjp_convolution_grad_data(VjpArgs& args) {
  const Sym u = args.dy[0];
  if (args.wants[0]) args.dx[0] = forward(args.attrs, u, args.in[1]);
  if (args.wants[1]) args.dx[1] = grad_filter(args.attrs, u, args.in[0], spatial_of(args.in[1].shape()));
}

std::vector<Sym> decompose_convolution_grad_filter(const DecomposeArgs& args) {
  const Sym x = args.in[0], dy = args.in[1];
  const int64_t groups = args.attrs.i64("groups");
  const std::span<const int64_t> extents = args.attrs.ints("shape");
  const Ints size(extents.begin(), extents.end());
  const Sliding s = sliding_of(args.attrs, size, kUnitStride);
  // A stride that skips the last elements of x leaves placements as they are, so columns and dy always agree.
  const Sym dw = apply1(op::batch_matmul, {}, {rows_of(dy, groups), transpose(columns_of(x, s, groups))});
  return {reshape(dw, join({{dy.shape()[1], x.shape()[1] / groups}, size}))};
}

void vjp_convolution_grad_filter(VjpArgs& args) {
  const Sym x = args.in[0], dy = args.in[1], u = args.dy[0];
  if (args.wants[0]) args.dx[0] = grad_data(args.attrs, dy, u, spatial_of(x.shape()));
  if (args.wants[1]) args.dx[1] = forward(args.attrs, x, u);
}

}  // namespace

const OpDef op::convolution = {
    .name = "convolution",
    .doc = "y[n,o,p] = sum over c, k of x[n, c, p * stride + k * dilation - pad_low] * w[o,c,k] (cross-correlation) for "
           "x[N,C,spatial...] and w[O,C/groups,k...], 1 to 3 spatial axes; "
           "p < (x + pad_low + pad_high - dilation * (k - 1) - 1) / stride + 1.",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = convolution_attrs(""),
    .fusion = Fusion::contraction,
    .infer = infer_convolution,
    .decompose = decompose_convolution,
    .vjp = vjp_convolution,
    .native = {BP_OP_CONVOLUTION, encode<BP_OP_CONVOLUTION>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_convolution(out[0], in[1], in, out[0]);
    },
    .samples = [] {
      const auto x = [](Shape shape) { return sample(shape, -1, 1); };
      return std::vector<Sample>{
          {{x({2, 3, 6, 5}), x({4, 3, 3, 2})}},
          {{x({1, 4, 9}), x({6, 2, 3})}, {{"stride", Ints{2}}, {"pad_low", Ints{1}}, {"groups", int64_t{2}}}},
          {{x({2, 2, 3, 4, 5}), x({2, 1, 2, 2, 3})}, {{"pad_high", Ints{1, 0, 1}}, {"groups", int64_t{2}}}},
          {{x({2, 2, 7, 8}), x({3, 2, 3, 3})},
           {{"stride", Ints{2, 3}}, {"dilation", Ints{2, 1}}, {"pad_low", Ints{1, 2}}, {"pad_high", Ints{2, 0}}}},
          {{x({1, 2, 6, 6}), x({2, 2, 3, 3})}, {{"pad_low", Ints{-1, 1}}, {"pad_high", Ints{0, -2}}}},
          {{x({3, 1, 1, 1}), x({1, 1, 1, 1})}},
          {{x({0, 2, 5}), x({3, 2, 3})}},
      };
    },
};

const OpDef op::convolution_grad_data = {
    .name = "convolution_grad_data",
    .doc = "dx[N,C,shape...], the adjoint of convolution in x, from dy[N,O,p...] and w[O,C/groups,k...]; also transposed "
           "convolution. Attributes as of the convolution.",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = convolution_attrs("spatial extents of dx; none = the smallest that give dy"),
    .fusion = Fusion::contraction,
    .infer = infer_convolution_grad_data,
    .decompose = decompose_convolution_grad_data,
    .vjp = vjp_convolution_grad_data,
    .native = {BP_OP_CONVOLUTION_GRAD_DATA, encode<BP_OP_CONVOLUTION_GRAD_DATA>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_convolution(in[0], in[1], in, out[0]);
    },
    .samples = [] {
      const auto x = [](Shape shape) { return sample(shape, -1, 1); };
      return std::vector<Sample>{
          {{x({2, 4, 4, 4}), x({4, 3, 3, 2})}},
          {{x({1, 6, 5}), x({6, 2, 3})}, {{"stride", Ints{2}}, {"pad_low", Ints{1}}, {"groups", int64_t{2}}}},
          {{x({2, 2, 2, 3, 4}), x({2, 1, 2, 2, 3})}, {{"pad_high", Ints{0, 0, 1}}, {"groups", int64_t{2}}}},
          {{x({2, 3, 3, 3}), x({3, 2, 3, 3})},
           {{"stride", Ints{2, 3}}, {"dilation", Ints{2, 1}}, {"pad_low", Ints{1, 2}}, {"shape", Ints{8, 7}}}},
          {{x({3, 1, 1, 1}), x({1, 1, 1, 1})}},
          {{x({0, 3, 4}), x({3, 2, 3})}, {{"stride", Ints{2}}}},
      };
    },
};

const OpDef op::convolution_grad_filter = {
    .name = "convolution_grad_filter",
    .doc = "dw[O,C/groups,shape...], the adjoint of convolution in w, from x[N,C,spatial...] and dy[N,O,p...]. Attributes "
           "as of the convolution.",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = convolution_attrs("spatial extents of the filter; needed"),
    .fusion = Fusion::contraction,
    .infer = infer_convolution_grad_filter,
    .decompose = decompose_convolution_grad_filter,
    .vjp = vjp_convolution_grad_filter,
    .native = {BP_OP_CONVOLUTION_GRAD_FILTER, encode<BP_OP_CONVOLUTION_GRAD_FILTER>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_convolution(in[1], out[0], in, out[0]);
    },
    .samples = [] {
      const auto x = [](Shape shape) { return sample(shape, -1, 1); };
      return std::vector<Sample>{
          {{x({2, 3, 6, 5}), x({2, 4, 4, 4})}, {{"shape", Ints{3, 2}}}},
          {{x({1, 4, 9}), x({1, 6, 5})},
           {{"stride", Ints{2}}, {"pad_low", Ints{1}}, {"groups", int64_t{2}}, {"shape", Ints{3}}}},
          {{x({2, 2, 3, 4, 5}), x({2, 2, 2, 3, 4})}, {{"pad_high", Ints{0, 0, 1}}, {"groups", int64_t{2}}, {"shape", Ints{2, 2, 3}}}},
          {{x({1, 2, 6, 6}), x({1, 2, 3, 3})}, {{"pad_low", Ints{-1, 1}}, {"pad_high", Ints{0, -2}}, {"shape", Ints{3, 3}}}},
          {{x({3, 1, 1, 1}), x({3, 1, 1, 1})}, {{"shape", Ints{1, 1}}}},
          {{x({0, 2, 5}), x({0, 3, 3})}, {{"shape", Ints{3}}}},
      };
    },
};

}  // namespace backplane::graph
