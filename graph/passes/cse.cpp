// SPDX-License-Identifier: Apache-2.0
// cse: equal computations are done once. The new graph is hash-consed: equal op, attributes, literal or program and
// operands give the node that is there already, with the line of the first. Operands of commutative ops are put in
// order first; constants are equal by content. Graph inputs are never merged. Random numbers are functions of their key, so
// equal keys may be merged like anything else.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace backplane::graph::passes {

std::unique_ptr<Graph> cse(const Graph& graph, const PassContext&) { return rewrite(graph, nullptr, Graph::Cse::on); }

}  // namespace backplane::graph::passes
