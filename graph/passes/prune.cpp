// SPDX-License-Identifier: Apache-2.0
// prune: what no output depends on is dropped. Not optional: later passes count on uses being real.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace backplane::graph::passes {

std::unique_ptr<Graph> prune(const Graph& graph, const PassContext&) { return without_dead_nodes(graph); }

}  // namespace backplane::graph::passes
