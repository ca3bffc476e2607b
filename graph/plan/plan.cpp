// SPDX-License-Identifier: Apache-2.0
// Compiling a graph into a plan: passes, lowering, and what a declined operation means.
#include "backplane/graph/plan.h"

#include <algorithm>

#include "backplane/host/registry.h"
#include "passes/passes.h"
#include "plan/execution.h"
#include "plan/lowering.h"

namespace backplane::graph {
namespace {

StreamPtr fallback_stream(const StreamPtr& stream) {
  if (stream->device()->has(BP_DEVICE_REFERENCE)) return nullptr;
  try {
    return Stream::of(host::Registry::instance().reference());
  } catch (const host::Error&) {
    return nullptr;  // none installed: a declined launch then says so
  }
}

[[noreturn]] void refuse_fallback(const Graph& graph, const Lowered& lowered, const StreamPtr& stream) {
  std::string list;
  for (const Launch& launch : lowered.launches) {
    if (!launch.fallback) continue;
    const Node& node = graph.node(launch.node);
    list += "\n  " + std::string(node.op->name) + " " + graph.types_of(launch.node)[0].to_string() + ": " + launch.reason;
    if (const std::string at = node.loc.to_string(); !at.empty()) list += " (" + at + ")";
  }
  throw Error("[compile] " + stream->device()->name() + " declines operations and BACKPLANE_FALLBACK=error forbids the host:" +
              list + "\n  use another device, or BACKPLANE_FALLBACK=allow");
}

}  // namespace

std::shared_ptr<Plan> Plan::compile(const Graph& graph, const CompileOptions& options,
                                    std::span<const Layout> input_layouts) {
  std::vector<Decomposition> decompositions;
  const PassContext context{options.passes, options.stream, input_layouts, &decompositions};
  std::unique_ptr<Graph> lowered_graph = run_pipeline(graph, context);
  Lowered lowered =
      lower(*lowered_graph, *options.stream, [&] { return fallback_stream(options.stream); }, input_layouts);
  const bool falls_back =
      std::any_of(lowered.launches.begin(), lowered.launches.end(), [](const Launch& l) { return l.fallback; });
  if (falls_back && options.fallback == Fallback::error) refuse_fallback(*lowered_graph, lowered, options.stream);
  return make_execution(options, std::move(lowered_graph), std::move(lowered), std::move(decompositions), input_layouts);
}

std::vector<Literal> evaluate(const Graph& graph, std::span<const Literal> inputs, const CompileOptions& options) {
  if (inputs.size() != graph.inputs().size()) fail_internal("evaluate: wrong number of inputs");
  const std::shared_ptr<Plan> plan = Plan::compile(graph, options);
  std::vector<Bound> bound;
  for (const Literal& literal : inputs) {
    StoragePtr storage = options.stream->alloc(literal.bytes.size());
    options.stream->upload(storage, 0, literal.bytes.data(), literal.bytes.size());
    bound.push_back({std::move(storage), literal.type, dense_layout(literal.type.shape)});
  }
  std::vector<Literal> result;
  for (const Bound& out : plan->run(bound)) {
    Literal literal{out.type, std::vector<std::byte>(static_cast<size_t>(out.type.bytes()))};
    options.stream->download(literal.bytes.data(), out.storage,
                             static_cast<uint64_t>(out.layout.offset * size_of(out.type.dtype)), literal.bytes.size());
    result.push_back(std::move(literal));
  }
  return result;
}

}  // namespace backplane::graph
