// SPDX-License-Identifier: Apache-2.0
// The types, attributes, costs and native encoding that the three convolutions share. Private to graph/ops.
#pragma once

#include "ops/nn.h"

namespace backplane::graph {

inline constexpr std::array<int64_t, 3> kUnitStride = {1, 1, 1};

inline Ints spatial_of(const Shape& shape) { return Ints(shape.begin() + 2, shape.end()); }

/// The shape with the extents of all parts, one part after the other.
inline Shape join(std::initializer_list<Ints> parts) {
  Ints all;
  for (const Ints& part : parts) all.insert(all.end(), part.begin(), part.end());
  return Shape(all);
}

/// `shape_doc` empty: without attribute `shape`.
std::vector<AttrSpec> convolution_attrs(std::string_view shape_doc);

std::vector<Type> infer_convolution(const InferArgs& args);
std::vector<Type> infer_convolution_grad_data(const InferArgs& args);
std::vector<Type> infer_convolution_grad_filter(const InferArgs& args);

/// Spatial extents of dx: attribute `shape`, or the smallest that give dy.
Ints data_extents(const Attrs& attrs, const Sliding& s, const Shape& dy);

/// Writes bp_convolution_attrs for a filter of `filter`'s shape.
void encode_convolution(uint32_t code, const Attrs& attrs, const Shape& filter, KernelOp& op);

/// 2 flops per filter element and element of y, whichever of the three it is.
Cost cost_of_convolution(const Type& y, const Type& w, std::span<const Type> in, const Type& out);

}  // namespace backplane::graph
