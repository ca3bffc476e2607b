// SPDX-License-Identifier: Apache-2.0
// Indices along an axis as positions in the whole tensor. Private to graph/ops.
#pragma once

#include "backplane/graph/ops.h"

namespace backplane::graph {

/// indices[o, j, i] along `axis` of a tensor of `shape` as a list of positions o n inner + index inner + i in its dense
/// elements; an index outside 0 ... n - 1 stays outside. One gather or scatter over all elements then serves every row.
Sym flat_positions(const Shape& shape, int axis, Sym indices);

}  // namespace backplane::graph
