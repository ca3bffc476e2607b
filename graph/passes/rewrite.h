// SPDX-License-Identifier: Apache-2.0
// How a pass makes its new graph: nodes that outputs depend on are copied in their order, through a rule that may put
// something else in a node's place. Graph inputs are copied first, used or not.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backplane/graph/graph.h"

namespace backplane::graph::passes {

class Rewriter {
 public:
  explicit Rewriter(const Graph& in, Graph::Cse cse = Graph::Cse::off);

  const Graph& in() const { return in_; }
  Graph& out() { return *out_; }
  /// Some output depends on it, or it is a graph input.
  bool live(NodeId old) const { return live_[old]; }
  bool done(Value old) const { return map_[index(old)].node != kNone; }
  /// The new value in place of `old`, which has been copied or replaced before.
  Value map(Value old) const;
  void replace(Value old, Value now) { map_[index(old)] = now; }
  /// The same node over mapped operands.
  NodeId copy(NodeId old);
  /// Maps the outputs and gives the graph away.
  std::unique_ptr<Graph> finish();

 private:
  static constexpr NodeId kNone = UINT32_MAX;
  size_t index(Value v) const { return first_[v.node] + v.out; }
  const Graph& in_;
  std::unique_ptr<Graph> out_;
  std::vector<bool> live_;
  std::vector<uint32_t> first_;  ///< where a node's outputs begin in map_
  std::vector<Value> map_;
  std::vector<Value> operands_;  ///< scratch of copy()
};

/// Maps all outputs of `old` itself and returns true, or returns false to have it copied.
using Rule = std::function<bool(Rewriter&, NodeId old)>;
std::unique_ptr<Graph> rewrite(const Graph& in, const Rule& rule, Graph::Cse cse = Graph::Cse::off);

/// Which nodes the outputs depend on; graph inputs always count.
std::vector<bool> live_nodes(const Graph& graph);

/// Only what is live, or nullptr when that is everything.
std::unique_ptr<Graph> without_dead_nodes(const Graph& graph);

}  // namespace backplane::graph::passes
