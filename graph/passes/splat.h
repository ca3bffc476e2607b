// SPDX-License-Identifier: Apache-2.0
// Tensors all of whose elements are one known number: `full`, and constants of one element.
#pragma once

#include <cstdint>
#include <optional>

#include "backplane/graph/graph.h"

namespace backplane::graph::passes {

struct Splat {
  DType dtype = f32;
  double real = 0;      ///< float dtypes
  int64_t integer = 0;  ///< integer dtypes and bool

  /// The very number: for floats -0 is not 0, NaN is nothing.
  bool is(double value) const;
  /// As BP_S_CONST wants it.
  bp_instr instr() const;
};

/// Nothing when the value is not known or has more than one number.
std::optional<Splat> splat_of(const Graph& graph, Value value);
/// The same for a literal of any size; empty ones have none.
std::optional<Splat> splat_of(const Literal& literal);
/// A `full` node.
Value add_full(Graph& graph, const Splat& splat, const Shape& shape);

}  // namespace backplane::graph::passes
