// SPDX-License-Identifier: Apache-2.0
#include "backplane/compile.h"

#include <algorithm>
#include <list>
#include <mutex>

#include "backplane/host/log.h"
#include "graph_context.h"

namespace backplane {

namespace {

constexpr size_t kMaxTraces = 64;
constexpr size_t kManyTraces = 8;

struct Trace {
  std::string key;
  std::shared_ptr<GraphContext> context;
  std::vector<graph::NodeId> arguments;
  Prepared prepared;
};

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

graph::StreamPtr stream_for(std::span<const Tensor> arguments, SourceLoc loc) {
  for (const Tensor& x : arguments) return computed(x, "compile", loc).storage->stream();
  return default_device().stream();
}

std::string signature(std::span<const Tensor> arguments, const graph::StreamPtr& stream) {
  std::string key;
  append(key, stream.get());
  for (const Tensor& x : arguments) {
    append(key, x.dtype());
    append(key, x.rank());
    for (int64_t extent : x.shape()) append(key, extent);
  }
  return key;
}

Trace trace(const CompiledFunction::Function& function, std::span<const Tensor> arguments, const graph::StreamPtr& stream,
            std::string key, SourceLoc loc) {
  Trace result;
  result.key = std::move(key);
  result.context = std::make_shared<GraphContext>(true);
  GraphContext& context = *result.context;
  std::vector<graph::Value> outputs;
  {
    const GraphContext::Scope scope(context);
    std::vector<Tensor> symbols;
    for (size_t i = 0; i < arguments.size(); ++i) {
      symbols.push_back(context.add_placeholder(arguments[i].type(), "argument " + std::to_string(i), loc));
      result.arguments.push_back(symbols.back().impl()->value.node);
    }
    for (const Tensor& value : function(symbols)) outputs.push_back(context.lift(value, loc));
  }
  result.prepared.num_results = outputs.size();
  std::vector<std::shared_ptr<VariableCell>> written(outputs.size());
  for (const GraphContext::Write& write : context.writes()) {
    outputs.push_back(write.value);
    written.push_back(write.cell);
  }
  std::vector<Type> types;
  for (const graph::Input& input : context.graph().inputs()) types.push_back(context.graph().types_of(input.node)[0]);
  const size_t num_results = result.prepared.num_results;
  result.prepared = prepare(context, outputs, types, stream);
  result.prepared.num_results = num_results;
  result.prepared.written = std::move(written);
  return result;
}

}  // namespace

struct CompiledFunction::State {
  Function function;
  std::mutex mutex;
  std::list<Trace> traces;  ///< most recently used first
  size_t traced = 0;
};

CompiledFunction::CompiledFunction(Function function) : state_(std::make_unique<State>()) {
  state_->function = std::move(function);
}
CompiledFunction::~CompiledFunction() = default;
CompiledFunction::CompiledFunction(CompiledFunction&&) noexcept = default;
CompiledFunction& CompiledFunction::operator=(CompiledFunction&&) noexcept = default;

std::vector<Tensor> CompiledFunction::run(std::span<const Tensor> arguments, Here here) {
  if (GraphContext::current() != nullptr) return state_->function(arguments);  // part of an outer graph
  const std::lock_guard lock(state_->mutex);
  const graph::StreamPtr stream = stream_for(arguments, here.loc);
  std::string key = signature(arguments, stream);
  auto& traces = state_->traces;
  auto found = std::find_if(traces.begin(), traces.end(), [&](const Trace& t) { return t.key == key; });
  if (found == traces.end()) {
    traces.push_front(trace(state_->function, arguments, stream, std::move(key), here.loc));
    if (++state_->traced == kManyTraces + 1) {
      host::log(BP_LOG_WARNING, "compile", "a compiled function (" + here.loc.to_string() + ") has been traced for more than " +
                                               std::to_string(kManyTraces) + " signatures; pad its arguments to few shapes");
    }
    if (traces.size() > kMaxTraces) traces.pop_back();
    found = traces.begin();
  }
  traces.splice(traces.begin(), traces, found);
  const Trace& chosen = traces.front();
  std::unordered_map<uint32_t, Tensor> feeds;
  for (size_t i = 0; i < arguments.size(); ++i) feeds.emplace(chosen.arguments[i], arguments[i]);
  const std::vector<Tensor> inputs = chosen.context->gather(chosen.prepared.live, feeds, stream, here.loc);
  std::vector<Tensor> results = run_prepared(chosen.prepared, inputs, here.loc);
  results.resize(chosen.prepared.num_results);
  return results;
}

size_t CompiledFunction::traces() const { return state_->traced; }

std::string CompiledFunction::explain() const {
  return state_->traces.empty() ? "not called yet\n" : explanation_table(*state_->traces.front().prepared.plan);
}

std::vector<graph::Explanation> CompiledFunction::explanations() const {
  if (state_->traces.empty()) return {};
  return state_->traces.front().prepared.plan->explain();
}

std::pair<size_t, size_t> CompiledFunction::node_counts() const {
  if (state_->traces.empty()) return {0, 0};
  const graph::PlanStats& stats = state_->traces.front().prepared.plan->stats();
  return {stats.nodes, stats.fallback_nodes};
}

}  // namespace backplane
