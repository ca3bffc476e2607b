// SPDX-License-Identifier: Apache-2.0
// What `normalize` and the normalisations named after layers share. Private to graph/ops.
#pragma once

#include "ops/nn.h"

namespace backplane::graph {

/// Attributes `axes` and `epsilon`, behind `first`.
std::vector<AttrSpec> axes_and_epsilon(std::vector<AttrSpec> first = {});
Ints normalized_axes(const Attrs& attrs, int rank);
void check_axes(const InferArgs& args, std::span<const int64_t> axes, int rank);
/// Refuses x (operand 0) that is not floating point, and parameters (the others) of a dtype other than x's or, for half
/// types, f32.
void check_dtypes(const InferArgs& args);
/// Types of (y, mean, rstd) for x in operand 0.
std::vector<Type> with_statistics(const InferArgs& args);
/// VJP of in = (x, scale[, shift]), out = (y, mean, rstd); scale and shift may broadcast.
void normalize_vjp(VjpArgs& args, int64_t kind);
Cost cost_of_normalize(double flops, std::span<const Type> in, std::span<const Type> out, const Type& x);

}  // namespace backplane::graph
