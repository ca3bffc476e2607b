// SPDX-License-Identifier: Apache-2.0
// Tensors in tests: random operands with the values that break laws, running a graph, comparing results.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/plan.h"

namespace backplane::graph::test {

using Random = std::mt19937_64;

/// Uniform in [low, high); with `special`, every fourth element is one of 0, -0, infinities, NaN, extremes, subnormals.
Literal random_literal(const Type& type, Random& random, bool special, double low = -3, double high = 3);

/// One literal for each input of the graph.
std::vector<Literal> random_inputs(const Graph& graph, Random& random, bool special);

/// On the reference card.
std::vector<Literal> run(const Graph& graph, const std::vector<Literal>& inputs, const PassConfig& passes);

/// "" when equal: types, and each element within `ulps` units in the last place; 0 means the same bits. NaNs are equal.
std::string difference(const Literal& a, const Literal& b, int ulps = 0);

/// Nodes that are `op`.
size_t count(const Graph& graph, const OpDef& op);

}  // namespace backplane::graph::test
