// SPDX-License-Identifier: Apache-2.0
// Random graphs over the registry, for properties that have to hold for every graph.
#pragma once

#include <memory>

#include "literals.h"

namespace backplane::graph::test {

/// About `nodes` nodes: scalar ops with broadcasting, views, reductions, products, assembled tensors, composites with the
/// attributes of their samples, constants, dead ends, equal work twice. Equal seeds give equal graphs.
std::unique_ptr<Graph> random_graph(uint64_t seed, size_t nodes);

}  // namespace backplane::graph::test
