// SPDX-License-Identifier: Apache-2.0
// Graphs whose kernels take next to no time, so that what is left is the cost of launching.
#pragma once

#include <memory>
#include <vector>

#include "backplane/graph/plan.h"

namespace backplane::bench {

/// x1 = x0 + y, x2 = x1 + y, ... on 16 floats: as many launches as nodes when nothing is fused.
struct SmallGraph {
  SmallGraph(const graph::StreamPtr& stream, int64_t nodes, const graph::PassConfig& passes, bool capture);
  void run() const { plan->run(inputs); }
  std::shared_ptr<graph::Plan> plan;
  std::vector<graph::Bound> inputs;
};

/// A deep residual network of about `nodes` nodes: products, pointwise chains, reductions, views and shared values.
std::unique_ptr<graph::Graph> deep_network(int64_t nodes);

}  // namespace backplane::bench
