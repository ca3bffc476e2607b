// SPDX-License-Identifier: Apache-2.0
#include "small_graphs.h"

#include "backplane/graph/ops.h"
#include "kernels.h"

namespace backplane::bench {

SmallGraph::SmallGraph(const graph::StreamPtr& stream, int64_t nodes, const graph::PassConfig& passes, bool capture) {
  const Type type{DType::f32, {16}};
  graph::Graph graph;
  graph::Sym x = graph.sym(graph.add_input(graph::Input::Kind::placeholder, type, "x"));
  const graph::Sym y = graph.sym(graph.add_input(graph::Input::Kind::placeholder, type, "y"));
  for (int64_t i = 0; i < nodes; ++i) x = x + y;
  graph.set_outputs({graph.value(x)});
  plan = graph::Plan::compile(
      graph, {.stream = stream, .passes = passes, .fallback = graph::Fallback::error, .capture = capture});
  for (int i = 0; i < 2; ++i) {
    inputs.push_back({stream->alloc(64), type, dense_layout(type.shape)});
    stream->upload(inputs.back().storage, 0, random_floats(16, 1).data(), 64);
  }
}

std::unique_ptr<graph::Graph> deep_network(int64_t nodes) {
  using namespace graph;
  constexpr int64_t kWidth = 8;
  auto network = std::make_unique<Graph>(Graph::Cse::off);
  const Type type{DType::f32, {kWidth, kWidth}};
  Sym x = network->sym(network->add_input(Input::Kind::placeholder, type, "x"));
  const Sym w = network->sym(network->add_input(Input::Kind::variable, type, "w", 1));
  const int64_t rows[] = {1};
  while (static_cast<int64_t>(network->size()) < nodes) {
    const Sym product = matmul(x, w);
    const Sym active = maximum(product, scalar(*network, 0, DType::f32));
    const Sym centred = active - reduce_mean(active, rows);
    x = x + transpose(tanh(centred)) * 0.5;
  }
  network->set_outputs({network->value(x)});
  return network;
}

}  // namespace backplane::bench
