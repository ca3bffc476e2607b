// SPDX-License-Identifier: Apache-2.0
// reshape: the one view that can fail, when axes to be merged are not one run of memory. The caller then copies first.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Shape shape_attr(const Attrs& attrs) { return Shape(attrs.ints("shape")); }

std::vector<Type> infer_reshape(const InferArgs& args) {
  const auto wanted = args.attrs.ints("shape");
  const Shape& in = args.in[0].shape;
  if (wanted.size() > BP_MAX_RANK)
    args.fail("the new shape has rank " + std::to_string(wanted.size()) + ", at most 8 is possible");
  Shape out = shape_attr(args.attrs);
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < out.rank(); ++i) {
    if (out[i] == -1 && unknown < 0) {
      unknown = i;
    } else if (out[i] < 0) {
      args.fail("the new shape " + out.to_string() + " has more than one -1, or a negative extent");
    } else {
      known *= out[i];
    }
  }
  if (in.is_dynamic()) {  // the unknown extent goes to the -1; whether it divides shows when it is known
    if (unknown < 0) args.fail("an operand of unknown extent needs a -1 in the new shape " + out.to_string());
    return {{args.in[0].dtype, out}};
  }
  const int64_t elements = in.elements();
  if (unknown >= 0 && known > 0 && elements % known == 0) {
    out[unknown] = elements / known;
    known = elements;
  }
  if (known != elements || (unknown >= 0 && out[unknown] < 0)) {
    args.fail("cannot reshape " + std::to_string(elements) + " elements to " + shape_attr(args.attrs).to_string(),
              "the number of elements has to stay the same");
  }
  return {{args.in[0].dtype, out}};
}

/// Walks both shapes from the left in groups of equal product. Within a group the old axes have to be one run of memory
/// (stride[i] = stride[i+1] * extent[i+1]); the new axes then split that run. Extents 1 need no stride.
std::optional<Layout> view_reshape(const Attrs&, const Type& in, const Layout& layout, const Type& out) {
  Layout result = dense_layout(out.shape);
  result.offset = layout.offset;
  if (out.elements() == 0) return result;
  Shape old;
  std::vector<int64_t> strides;
  for (int i = 0; i < in.shape.rank(); ++i) {
    if (in.shape[i] == 1) continue;
    old.push_back(in.shape[i]);
    strides.push_back(layout.strides[static_cast<size_t>(i)]);
  }
  int o = 0, n = 0;
  while (o < old.rank()) {
    int o_end = o + 1, n_end = n + 1;
    int64_t o_size = old[o], n_size = out.shape[n];
    while (o_size != n_size) {
      if (o_size < n_size) {
        o_size *= old[o_end++];
      } else {
        n_size *= out.shape[n_end++];
      }
    }
    for (int i = o; i + 1 < o_end; ++i) {
      if (strides[static_cast<size_t>(i)] != strides[static_cast<size_t>(i) + 1] * old[i + 1]) return std::nullopt;
    }
    int64_t stride = strides[static_cast<size_t>(o_end) - 1];
    for (int i = n_end - 1; i >= n; --i) {
      result.strides[static_cast<size_t>(i)] = stride;
      stride *= out.shape[i];
    }
    o = o_end;
    n = n_end;
  }
  return result;
}

void reshape_vjp(VjpArgs& a) { a.dx[0] = reshape(a.dy[0], a.in[0].shape()); }

}  // namespace

const OpDef op::reshape = {
    .name = "reshape",
    .doc = "y has the elements of x in row-major order and the given shape; one extent may be -1 and is worked out.",
    .attrs = {{"shape", AttrKind::integers, Ints{}, "extents of the result, at most one -1", true}},
    .tier = Tier::view,
    .infer = infer_reshape,
    .vjp = reshape_vjp,
    .saves = Saves::nothing,
    .view = view_reshape,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 6})}, {{"shape", Ints{2, 2, 6}}}}, {{sample({2, 3, 5})}, {{"shape", Ints{-1, 5}}}},
              {{sample({1, 7, 1})}, {{"shape", Ints{7}}}},    {{sample({0, 3})}, {{"shape", Ints{3, 0, 2}}}},
              {{sample({1, 1})}, {{"shape", Ints{}}}},        {{sample({})}, {{"shape", Ints{1, -1}}}},
              {{sample({4, 9})}, {{"shape", Ints{6, 6}}}}};
    },
};

}  // namespace backplane::graph
