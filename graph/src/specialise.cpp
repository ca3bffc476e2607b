// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/graph.h"

namespace backplane::graph {

std::vector<bool> live_nodes(const Graph& graph, std::span<const Value> outputs) {
  std::vector<bool> live(graph.size(), false);
  for (Value v : outputs) live[v.node] = true;
  for (auto id = static_cast<NodeId>(graph.size()); id-- > 0;) {
    if (!live[id]) continue;
    for (Value v : graph.inputs_of(id)) live[v.node] = true;
  }
  return live;
}

std::unique_ptr<Graph> specialise(const Graph& graph, std::span<const Type> input_types, std::span<const Value> outputs) {
  if (input_types.size() != graph.inputs().size()) fail_internal("specialise: wrong number of input types");
  auto result = std::make_unique<Graph>();
  std::vector<std::vector<Value>> map(graph.size());
  const std::vector<bool> live = live_nodes(graph, outputs);
  size_t next_input = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    result->loc = node.loc;
    if (next_input < graph.inputs().size() && graph.inputs()[next_input].node == id) {
      const Input& input = graph.inputs()[next_input];
      map[id] = {result->add_input(input.kind, input_types[next_input], input.name, input.key)};
      ++next_input;
      continue;
    }
    if (!live[id]) continue;
    if (node.literal != nullptr) {
      map[id] = {result->add_constant(node.literal)};
      continue;
    }
    std::vector<Value> in;
    for (Value v : graph.inputs_of(id)) in.push_back(map[v.node][v.out]);
    const NodeId copy = result->add(*node.op, node.attrs, in, node.loc,
                                    node.program != nullptr ? graph.types_of(id) : std::span<const Type>{}, node.program);
    for (uint32_t i = 0; i < node.num_out; ++i) map[id].push_back({copy, i});
  }
  std::vector<Value> mapped;
  for (Value v : outputs) mapped.push_back(map[v.node][v.out]);
  result->set_outputs(std::move(mapped));
  return result;
}

}  // namespace backplane::graph
