// SPDX-License-Identifier: Apache-2.0
// A graph with every composite decomposed down to primitives, and how far two computations of it may differ.
#pragma once

#include <memory>
#include <vector>

#include "backplane/graph/graph.h"
#include "ops/values.h"

namespace backplane::test {

struct Expanded {
  std::unique_ptr<graph::Graph> graph;  ///< outputs: those of the original, then every float value on the way
  size_t outputs = 0;                   ///< how many are the original's
  std::vector<double> errors;           ///< relative error that roundings add up to, per original output
};
Expanded expand_fully(const graph::Graph& graph);

/// Runs it on the oracle.
struct Reckoning {
  std::vector<Literal> values;     ///< the original's outputs, from the decomposition
  std::vector<double> tolerances;  ///< for comparing them with another way of computing them
};
Reckoning reckon(const graph::Graph& graph, std::span<const Literal> inputs);

}  // namespace backplane::test
