// SPDX-License-Identifier: Apache-2.0
// Expands `gradients` nodes once all shapes are known: the nodes before it become the tape, the results take its place.
#include "backplane/graph/autodiff.h"
#include "backplane/graph/ops.h"
#include "passes/passes.h"

namespace backplane::graph {

namespace {

/// Copies one node of `from` behind what `to` already has; returns the values that stand for its outputs.
std::vector<Value> copy_node(const Graph& from, NodeId id, std::span<const Value> in, Graph& to) {
  const Node& node = from.node(id);
  to.loc = node.loc;
  if (node.literal != nullptr) return {to.add_constant(node.literal)};
  const NodeId copy = to.add(*node.op, node.attrs, in, node.loc, from.types_of(id), node.program);
  std::vector<Value> values;
  for (uint32_t i = 0; i < node.num_out; ++i) values.push_back({copy, i});
  return values;
}

/// Operands of a `gradients` node: ys, then xs, then one dy for each y, or none.
std::vector<Value> expand(const Node& node, std::span<const Value> in, Graph& to) {
  const auto num_ys = static_cast<size_t>(node.attrs.i64("ys"));
  const auto num_xs = static_cast<size_t>(node.attrs.i64("xs"));
  std::vector<Sym> syms;
  for (Value v : in) syms.push_back(to.sym(v));
  const std::span<const Sym> all(syms);
  const std::vector<TapeEntry> tape = tape_of(to, static_cast<NodeId>(to.size()));
  to.loc = node.loc;
  std::vector<Value> values;
  for (Sym s : gradients(to, tape, all.first(num_ys), all.subspan(num_ys, num_xs), all.subspan(num_ys + num_xs))) {
    values.push_back(to.value(s));
  }
  return values;
}

}  // namespace

std::unique_ptr<Graph> passes::expand_gradients(const Graph& graph, const PassContext&) {
  bool any = false;
  for (NodeId id = 0; id < graph.size() && !any; ++id) any = graph.node(id).op->tier == Tier::deferred;
  if (!any) return nullptr;
  auto result = std::make_unique<Graph>();
  std::vector<std::vector<Value>> map(graph.size());
  size_t next_input = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (next_input < graph.inputs().size() && graph.inputs()[next_input].node == id) {
      const Input& input = graph.inputs()[next_input++];
      result->loc = node.loc;
      map[id] = {result->add_input(input.kind, graph.types_of(id)[0], input.name, input.key)};
      continue;
    }
    std::vector<Value> in;
    for (Value v : graph.inputs_of(id)) in.push_back(map[v.node][v.out]);
    map[id] = node.op->tier == Tier::deferred ? expand(node, in, *result) : copy_node(graph, id, in, *result);
  }
  std::vector<Value> outputs;
  for (Value v : graph.outputs()) outputs.push_back(map[v.node][v.out]);
  result->set_outputs(std::move(outputs));
  return result;
}

}  // namespace backplane::graph
