// SPDX-License-Identifier: Apache-2.0
// What the host costs when the device costs nothing: the null plugin does no work, so all that is measured is ours.
#include "backplane/functions.h"
#include "backplane/graph/plan.h"
#include "backplane/host/error.h"
#include "cases.h"
#include "kernels.h"

namespace backplane::bench {

namespace {

const Type kSmall{DType::f32, {16}};

/// x1 = x0 + y, x2 = x1 + y, ...: as many launches as nodes when nothing is fused.
std::unique_ptr<graph::Graph> additions(int64_t nodes) {
  auto graph = std::make_unique<graph::Graph>();
  graph::Sym x = graph->sym(graph->add_input(graph::Input::Kind::placeholder, kSmall, "x"));
  const graph::Sym y = graph->sym(graph->add_input(graph::Input::Kind::placeholder, kSmall, "y"));
  for (int64_t i = 0; i < nodes; ++i) x = x + y;
  graph->set_outputs({graph->value(x)});
  return graph;
}

Measurement replay(benchmark::State& state, int64_t nodes) {
  const graph::StreamPtr stream = graph::Stream::of(null_device());
  const auto plan = graph::Plan::compile(*additions(nodes), {stream, graph::PassConfig::none()});
  std::vector<graph::Bound> inputs;
  for (int i = 0; i < 2; ++i) inputs.push_back({stream->alloc(64), kSmall, dense_layout(kSmall.shape)});
  const Measurement m = measure([&] { plan->run(inputs); }, {});
  state.counters["launches"] = static_cast<double>(plan->stats().nodes);
  state.counters["ns_per_node"] = m.of[0].median_ns / static_cast<double>(plan->stats().nodes);
  return m;
}

Measurement boundary(benchmark::State& state) {
  const Prepared kernel(null_device(), graph::op::softmax, {}, {Shape{4, 4}});
  const auto enqueue = null_device()->kernels().enqueue;
  const Measurement m = measure([&] { kernel.enqueue_through(enqueue); }, {});
  state.counters["ns_per_call"] = m.of[0].median_ns;
  return m;
}

/// One eager addition of 16 floats, and what recording its history adds.
Measurement eager(benchmark::State& state, const graph::StreamPtr& stream) {
  const Device device(stream);
  const std::vector<float> values = random_floats(16, 1);
  const Tensor x = Tensor::from(std::span<const float>(values), {16}, device), y = x + x;
  const Tensor leaf = x.requires_grad();
  Tensor z;
  const Measurement m = measure({[&] { z = x + y; }, [&] { z = leaf + y; }}, {});
  state.counters["ns_per_op"] = m.of[0].median_ns;
  state.counters["ns_per_recorded_op"] = m.of[1].median_ns;
  return m;
}

/// Forward, loss and backward of one addition, for the cost of the reverse sweep.
Measurement eager_backward(benchmark::State& state, const graph::StreamPtr& stream) {
  const Device device(stream);
  const std::vector<float> values = random_floats(16, 1);
  const Tensor x = Tensor::from(std::span<const float>(values), {16}, device);
  const Tensor leaf = x.requires_grad();
  const Measurement m = measure(
      [&] {
        leaf.zero_grad();
        sum(leaf * x).backward();
      },
      {});
  state.counters["ns_per_step"] = m.of[0].median_ns;
  return m;
}

}  // namespace

void add_overhead_rows() {
  add_row("overhead/boundary/enqueue", boundary);
  for (int64_t nodes : {100, 1'000, 10'000, 100'000}) {
    add_row("overhead/replay/nodes=" + std::to_string(nodes),
            [nodes](benchmark::State& state) { return replay(state, nodes); });
  }
  const auto on_null = [] { return graph::Stream::of(null_device()); };
  const auto on_device = [] { return graph::Stream::of(device_under_test()); };
  add_row("overhead/eager_add/null", [=](benchmark::State& state) { return eager(state, on_null()); });
  add_row("overhead/eager_add/device", [=](benchmark::State& state) { return eager(state, on_device()); });
  add_row("overhead/eager_backward/null", [=](benchmark::State& state) { return eager_backward(state, on_null()); });
  add_row("overhead/eager_backward/device",
          [=](benchmark::State& state) { return eager_backward(state, on_device()); });
}

}  // namespace backplane::bench
