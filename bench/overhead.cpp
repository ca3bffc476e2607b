// SPDX-License-Identifier: Apache-2.0
// What the host costs when the device costs nothing: the null plugin does no work, so all that is measured is ours. And
// what the device's own launches cost: graphs of kernels too small to take time themselves.
#include "backplane/functions.h"
#include "backplane/graph/plan.h"
#include "backplane/host/error.h"
#include "rows.h"
#include "kernels.h"
#include "raw_replay.h"

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

struct Small {
  std::shared_ptr<graph::Plan> plan;
  std::vector<graph::Bound> inputs;
};

/// Each addition a launch of its own, unless passes fuse them.
Small small_kernels(const graph::StreamPtr& stream, int64_t nodes, const graph::PassConfig& passes, bool capture) {
  Small small{graph::Plan::compile(
                  *additions(nodes),
                  {.stream = stream, .passes = passes, .fallback = graph::Fallback::error, .capture = capture}),
              {}};
  for (int i = 0; i < 2; ++i) {
    small.inputs.push_back({stream->alloc(64), kSmall, dense_layout(kSmall.shape)});
    stream->upload(small.inputs.back().storage, 0, random_floats(16, 1).data(), 64);
  }
  return small;
}

/// Launches that depend on one another and one wait at their end: enqueued one by one, recorded once and replayed where
/// the device records, and fused.
Measurement graph_of_small_kernels(benchmark::State& state, int64_t nodes) {
  const graph::StreamPtr stream = graph::Stream::of(device_under_test());
  const Small recorded = small_kernels(stream, nodes, graph::PassConfig::none(), true);
  const Small enqueued = small_kernels(stream, nodes, graph::PassConfig::none(), false);
  const Small fused = small_kernels(stream, nodes, graph::PassConfig::parse("all"), true);
  const auto run = [&](const Small& small) {
    return [&] {
      small.plan->run(small.inputs);
      stream->finish();
    };
  };
  std::vector<Contestant> contestants = {run(recorded), run(enqueued), run(fused)};
  const host::DevicePtr device = device_under_test();
  const Call raw = raw_replay(device->plugin_name(), device->info().name, static_cast<int>(nodes));
  if (raw) contestants.push_back(raw);
  const Measurement m = measure(contestants, {.budget_s = 10, .cores = cores_used()});
  const auto launches = static_cast<double>(recorded.plan->stats().nodes);
  state.counters["launches"] = launches;
  state.counters["us_per_kernel"] = m.of[0].median_ns * 1e-3 / launches;
  state.counters["enqueued_us_per_kernel"] = m.of[1].median_ns * 1e-3 / launches;
  state.counters["fused_us"] = m.of[2].median_ns * 1e-3;
  if (raw) {
    state.counters["raw_us_per_kernel"] = m.of[3].median_ns * 1e-3 / launches;
    state.counters["of_raw"] = m.of[0].median_ns / m.of[3].median_ns;
  }
  state.counters["fused_launches"] = static_cast<double>(fused.plan->stats().nodes);
  state.SetLabel(recorded.plan->stats().replays > 0 ? "replayed" : "not recorded by this device");
  return m;
}

Measurement replay(benchmark::State& state, int64_t nodes) {
  const graph::StreamPtr stream = graph::Stream::of(null_device());
  const auto [plan, inputs] = small_kernels(stream, nodes, graph::PassConfig::none(), true);
  const Measurement m = measure({[&plan = plan, &inputs = inputs] { plan->run(inputs); }}, {});
  state.counters["launches"] = static_cast<double>(plan->stats().nodes);
  state.counters["ns_per_node"] = m.of[0].median_ns / static_cast<double>(plan->stats().nodes);
  return m;
}

Measurement boundary(benchmark::State& state) {
  const Case c{"", &graph::op::softmax, {}, {{{DType::f32, {4, 4}}}}};
  const Prepared kernel(std::make_shared<Operands>(null_device(), c, make_values(c)));
  const auto enqueue = null_device()->kernels().enqueue;
  const Measurement m = measure({[&] { kernel.enqueue_through(enqueue); }}, {});
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
  const Measurement m = measure({[&] {
                                  leaf.zero_grad();
                                  sum(leaf * x).backward();
                                }},
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
  for (int64_t nodes : {16, 256}) {
    add_row("launches/small/nodes=" + std::to_string(nodes),
            [nodes](benchmark::State& state) { return graph_of_small_kernels(state, nodes); });
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
