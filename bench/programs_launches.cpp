// SPDX-License-Identifier: Apache-2.0
// What a device's own launches cost: graphs of kernels too small to take time themselves, and one fused chain over more
// memory than caches hold.
#include "backplane/functions.h"
#include "backplane/graph/plan.h"
#include "kernels.h"
#include "program_job.h"
#include "raw_replay.h"
#include "small_graphs.h"

namespace backplane::bench {

namespace {

/// N dependent additions of 16 floats and one wait: recorded once and replayed, put in one by one, or fused.
Work launches(const ProgramArguments& a) {
  const std::string how = a.word("how", "replayed");
  const int64_t nodes = a.dimension("N");
  Work work;
  if (how == "driver") {
    work.call = raw_replay(a.device->plugin_name(), a.device->info().name, static_cast<int>(nodes));
    if (!work.call) throw Error("there is no program against the driver alone for this plugin");
    return work;
  }
  const graph::StreamPtr stream = graph::Stream::of(a.device);
  const auto small = std::make_shared<SmallGraph>(
      stream, nodes, how == "fused" ? graph::PassConfig::parse("all") : graph::PassConfig::none(), how != "enqueued");
  // A plan is recorded when it meets the same buffers again, which need not be the second time.
  constexpr int kRunsUntilReplayed = 8;
  for (int i = 0; i < kRunsUntilReplayed && small->plan->stats().replays == 0; ++i) small->run();
  stream->finish();
  if (how == "replayed" && small->plan->stats().replays == 0) throw Error("this device does not record");
  work.call = [small] { small->run(); }, work.finish = [stream] { stream->finish(); };
  return work;
}

/// Eight operations on one tensor, none of them more than arithmetic, so that memory is what limits them.
graph::Sym chain(graph::Sym x) {
  using namespace graph;
  const Sym a = x * 1.5 + 0.25;
  const Sym b = maximum(a, x) - 0.5;
  const Sym c = b * a;
  return minimum(c, x + 3.0) * 0.75;
}

/// N floats through eight pointwise ops: fused, it should cost what copying them costs.
Work pointwise_chain(const ProgramArguments& a) {
  const int64_t elements = a.dimension("N");
  const graph::StreamPtr stream = graph::Stream::of(a.device);
  graph::Graph graph;
  const Type type{DType::f32, {elements}};
  const graph::Value x = graph.add_input(graph::Input::Kind::placeholder, type, "x");
  graph.set_outputs({graph.value(chain(graph.sym(x)))});
  const std::string passes = a.word("how", "fused") == "fused" ? "all" : "none";
  const auto plan = graph::Plan::compile(graph, {stream, graph::PassConfig::parse(passes)});
  const auto bytes = static_cast<uint64_t>(type.bytes());
  const graph::StoragePtr storage = stream->alloc(bytes);
  stream->upload(storage, 0, random_floats(elements, 1).data(), bytes);
  const std::vector<graph::Bound> inputs = {{storage, type, dense_layout(type.shape)}};
  plan->run(inputs);
  stream->finish();
  Work work;
  work.call = [plan, inputs] { plan->run(inputs); }, work.finish = [stream] { stream->finish(); };
  work.bytes = 2.0 * static_cast<double>(bytes);
  return work;
}

/// One eager addition of 16 floats; recorded: with its history; backward: forward, loss and backward.
Work eager(const ProgramArguments& a) {
  const Device device(graph::Stream::of(a.device));
  const std::vector<float> values = random_floats(16, 1);
  const Tensor x = Tensor::from(std::span<const float>(values), {16}, device), y = x + x;
  const Tensor leaf = x.requires_grad();
  const std::string what = a.word("what", "add");
  Work work;
  work.finish = [device] { device.synchronize(); };
  if (what == "backward") {
    work.call = [leaf, x]() mutable {
      leaf.zero_grad();
      sum(leaf * x).backward();
    };
  } else if (what == "recorded") {
    work.call = [leaf, y] { const Tensor z = leaf + y; };
  } else {
    work.call = [x, y] { const Tensor z = x + y; };
  }
  work.call();
  return work;
}

constexpr Program kPrograms[] = {
    {"launches", "N dependent additions of 16 floats, one wait: how=replayed|enqueued|fused|driver", false, launches},
    {"pointwise_chain", "eight pointwise ops on N floats: how=fused|op_by_op", false, pointwise_chain},
    {"eager", "one eager operation on 16 floats: what=add|recorded|backward", false, eager},
};

}  // namespace

std::span<const Program> launch_programs() { return kPrograms; }

}  // namespace backplane::bench
