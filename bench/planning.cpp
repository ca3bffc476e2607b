// SPDX-License-Identifier: Apache-2.0
// How long it takes to build a large graph and to plan it with every pass on, and whether that grows linearly.
#include "backplane/graph/plan.h"
#include "rows.h"
#include "kernels.h"

namespace backplane::bench {

namespace {

constexpr int64_t kWidth = 8;

/// A deep residual network of about `nodes` nodes: products, pointwise chains, reductions, views and shared values.
std::unique_ptr<graph::Graph> deep_network(int64_t nodes) {
  using namespace graph;
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

Measurement plan_network(benchmark::State& state, int64_t nodes) {
  const graph::StreamPtr stream = graph::Stream::of(null_device());
  const auto network = deep_network(nodes);
  const graph::CompileOptions options{stream, graph::PassConfig::parse("all")};
  // One call a sample: the first one is also the warm-up, which fills the kernel cache.
  const Measurement m = measure({[&] { graph::Plan::compile(*network, options); }, [&] { deep_network(nodes); }},
                                {.rounds = 5, .sample_ns = 1, .budget_s = 20});
  const auto plan = graph::Plan::compile(*network, options);
  state.counters["nodes"] = static_cast<double>(network->size());
  state.counters["launches"] = static_cast<double>(plan->stats().nodes);
  state.counters["ms"] = m.of[0].median_ns * 1e-6;
  state.counters["ns_per_node"] = m.of[0].median_ns / static_cast<double>(network->size());
  state.counters["cpu_ns_per_node"] = m.of[0].cpu_ns / static_cast<double>(network->size());
  state.counters["build_ns_per_node"] = m.of[1].median_ns / static_cast<double>(network->size());
  return m;
}

}  // namespace

void add_planning_rows() {
  for (int64_t nodes : {1'000, 10'000, 100'000}) {
    add_row("planning/nodes=" + std::to_string(nodes),
            [nodes](benchmark::State& state) { return plan_network(state, nodes); });
  }
}

}  // namespace backplane::bench
