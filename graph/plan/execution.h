// SPDX-License-Identifier: Apache-2.0
// The plan that runs: a flat array of prepared launches whose views are already filled in.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backplane/graph/plan.h"
#include "plan/lowering.h"

namespace backplane::graph {

/// `graph` is the lowered one, for messages and for what became of each node.
std::shared_ptr<Plan> make_execution(const CompileOptions& options, std::unique_ptr<Graph> graph, Lowered lowered,
                                     std::vector<Decomposition> decompositions, std::span<const Layout> input_layouts);

}  // namespace backplane::graph
