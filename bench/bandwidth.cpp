// SPDX-License-Identifier: Apache-2.0
// A chain of eight pointwise ops over 16 Mi floats against copying as many bytes: fused, it should cost one copy.
#include <cstring>
#include <thread>

#include "backplane/graph/plan.h"
#include "rows.h"
#include "kernels.h"

namespace backplane::bench {

namespace {

constexpr int64_t kElements = int64_t{16} << 20;
constexpr uint64_t kBytes = kElements * sizeof(float);

/// Eight operations on one tensor, none of them more than arithmetic, so that memory is what limits them.
graph::Sym chain(graph::Sym x) {
  using namespace graph;
  const Sym a = x * 1.5 + 0.25;
  const Sym b = maximum(a, x) - 0.5;
  const Sym c = b * a;
  return minimum(c, x + 3.0) * 0.75;
}

/// As many threads as the device uses copy one part each; the C library takes non-temporal stores at this size.
void parallel_copy(float* to, const float* from) {
  const int cores = cores_used();
  std::vector<std::thread> threads;
  const auto part = [&](int i) {
    const int64_t first = kElements * i / cores, last = kElements * (i + 1) / cores;
    std::memcpy(to + first, from + first, static_cast<size_t>(last - first) * sizeof(float));
  };
  for (int i = 1; i < cores; ++i) threads.emplace_back(part, i);
  part(0);
  for (std::thread& thread : threads) thread.join();
}

struct Chain {
  std::shared_ptr<graph::Plan> plan;
  std::vector<graph::Bound> inputs;
};

Chain make_chain(const char* passes) {
  const graph::StreamPtr stream = graph::Stream::of(device_under_test());
  graph::Graph graph;
  const Type type{DType::f32, {kElements}};
  const graph::Value x = graph.add_input(graph::Input::Kind::placeholder, type, "x");
  graph.set_outputs({graph.value(chain(graph.sym(x)))});
  Chain result;
  result.plan = graph::Plan::compile(graph, {stream, graph::PassConfig::parse(passes)});
  const graph::StoragePtr storage = stream->alloc(kBytes);
  stream->upload(storage, 0, random_floats(kElements, 1).data(), kBytes);
  result.inputs.push_back({storage, type, dense_layout(type.shape)});
  return result;
}

Measurement run_chain(benchmark::State& state, const char* passes) {
  const Chain chain = make_chain(passes);
  const graph::StreamPtr stream = graph::Stream::of(device_under_test());
  std::vector<float> from = random_floats(kElements, 2), to(static_cast<size_t>(kElements));
  const Measurement m = measure({[&] {
                                   chain.plan->run(chain.inputs);
                                   stream->finish();
                                 },
                                 [&] { parallel_copy(to.data(), from.data()); }},
                                {.budget_s = 20, .cores = cores_used()});
  const double copied = 2.0 * static_cast<double>(kBytes);
  state.counters["launches"] = static_cast<double>(chain.plan->stats().nodes);
  state.counters["GB_per_s"] = copied / m.of[0].median_ns;
  state.counters["copy_GB_per_s"] = copied / m.of[1].median_ns;
  state.counters["of_copy"] = m.of[1].median_ns / m.of[0].median_ns;
  return m;
}

}  // namespace

void add_bandwidth_rows() {
  add_row("bandwidth/pointwise_chain_8/fused", [](benchmark::State& state) { return run_chain(state, "all"); });
  add_row("bandwidth/pointwise_chain_8/op_by_op", [](benchmark::State& state) { return run_chain(state, "none"); });
}

}  // namespace backplane::bench
