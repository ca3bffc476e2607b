// SPDX-License-Identifier: Apache-2.0
#include "passes/rewrite.h"

#include <algorithm>
#include <string>

namespace backplane::graph::passes {

std::vector<bool> live_nodes(const Graph& graph) {
  std::vector<bool> live = graph::live_nodes(graph, graph.outputs());
  for (const Input& input : graph.inputs()) live[input.node] = true;
  return live;
}

Rewriter::Rewriter(const Graph& in, Graph::Cse cse)
    : in_(in), out_(std::make_unique<Graph>(cse)), live_(live_nodes(in)) {
  uint32_t values = 0;
  first_.reserve(in.size());
  for (NodeId id = 0; id < in.size(); ++id) {
    first_.push_back(values);
    values += in.node(id).num_out;
  }
  map_.assign(values, Value{kNone, 0});
  for (const Input& input : in.inputs()) {
    out_->loc = in.node(input.node).loc;
    replace({input.node, 0}, out_->add_input(input.kind, in.type({input.node, 0}), input.name, input.key));
  }
}

Value Rewriter::map(Value old) const {
  const Value now = map_[index(old)];
  if (now.node == kNone) {
    fail_internal("rewrite: %" + std::to_string(old.node) + " (" + std::string(in_.node(old.node).op->name) +
                  ") is used before it was copied");
  }
  return now;
}

NodeId Rewriter::copy(NodeId old) {
  const Node& node = in_.node(old);
  out_->loc = node.loc;
  NodeId now = 0;
  if (node.literal != nullptr) {
    now = out_->add_constant(node.literal).node;
  } else {
    operands_.clear();
    for (Value v : in_.inputs_of(old)) operands_.push_back(map(v));
    now = out_->add(*node.op, node.attrs, operands_, node.loc, in_.types_of(old), node.program);
  }
  for (uint32_t i = 0; i < node.num_out; ++i) replace({old, i}, {now, i});
  return now;
}

std::unique_ptr<Graph> Rewriter::finish() {
  std::vector<Value> outputs;
  outputs.reserve(in_.outputs().size());
  for (Value v : in_.outputs()) outputs.push_back(map(v));
  out_->set_outputs(std::move(outputs));
  out_->loc = {};
  return std::move(out_);
}

std::unique_ptr<Graph> rewrite(const Graph& in, const Rule& rule, Graph::Cse cse) {
  Rewriter rewriter(in, cse);
  for (NodeId id = 0; id < in.size(); ++id) {
    if (!rewriter.live(id) || (in.node(id).num_out != 0 && rewriter.done({id, 0}))) continue;
    if (!rule || !rule(rewriter, id)) rewriter.copy(id);
  }
  return rewriter.finish();
}

std::unique_ptr<Graph> without_dead_nodes(const Graph& graph) {
  const std::vector<bool> live = live_nodes(graph);
  if (std::find(live.begin(), live.end(), false) == live.end()) return nullptr;
  return rewrite(graph, nullptr);
}

}  // namespace backplane::graph::passes
