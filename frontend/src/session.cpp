// SPDX-License-Identifier: Apache-2.0
#include "backplane/session.h"

#include <algorithm>
#include <list>

#include "backplane/graph/ops.h"
#include "graph_context.h"

namespace backplane {

namespace {

constexpr size_t kMaxPlans = 32;

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void check_feed(const Type& wanted, const Type& given, const std::string& name, SourceLoc loc) {
  bool fits = wanted.dtype == given.dtype && wanted.shape.rank() == given.shape.rank();
  for (int axis = 0; fits && axis < wanted.shape.rank(); ++axis) {
    fits = wanted.shape[axis] == dyn || wanted.shape[axis] == given.shape[axis];
  }
  if (fits) return;
  const Type types[] = {wanted, given};
  backplane::fail("run", "the feed of placeholder '" + name + "' does not fit it", types, loc,
                  "feed a tensor of the placeholder's dtype and shape");
}

}  // namespace

Graph::Graph() : context_(std::make_shared<GraphContext>(false)) {}

namespace {
thread_local std::vector<std::unique_ptr<GraphContext::Scope>> open_scopes;
}
Graph::Scope::Scope(std::shared_ptr<GraphContext> context) : context_(std::move(context)) {
  open_scopes.push_back(std::make_unique<GraphContext::Scope>(*context_));
}
Graph::Scope::~Scope() { open_scopes.pop_back(); }

std::string Graph::to_string() const { return graph::to_text(context_->graph()); }

Tensor placeholder(DType dtype, const Shape& shape, std::string name, Here here) {
  GraphContext* context = GraphContext::current();
  if (context == nullptr || context->tracing()) {
    backplane::fail("placeholder", "there is no graph being built here", {}, here.loc,
                    "open a scope first: Graph graph; auto building = graph.build();");
  }
  return context->add_placeholder({dtype, shape}, std::move(name), here.loc);
}

struct Session::State {
  Device device;
  struct Entry {
    std::string key;
    std::shared_ptr<GraphContext> context;
    Prepared prepared;
  };
  std::list<Entry> plans;  ///< most recently used first
  std::shared_ptr<graph::Plan> last;
};

namespace {

/// Everything a run needs that does not depend on whether its plan is cached.
struct Request {
  std::shared_ptr<GraphContext> context;
  std::vector<graph::Value> outputs;
  std::vector<std::shared_ptr<VariableCell>> written;
  std::unordered_map<uint32_t, Tensor> feeds;
  std::vector<bool> live;
  std::vector<Tensor> inputs;
  std::vector<Type> types;
  std::string key;
};

std::shared_ptr<GraphContext> context_of(const std::vector<Fetch>& fetches, SourceLoc loc) {
  if (fetches.empty()) backplane::fail("run", "nothing to fetch", {}, loc);
  const auto& first = fetches.front().value;
  if (!first.is_symbolic()) {
    backplane::fail("run", "the fetch is not a value of a graph", {}, loc,
                    first.defined() ? "it has been computed already; read it with to_vector() or item()"
                                    : "it is undefined");
  }
  return first.impl()->context;
}

Request make_request(const std::vector<Fetch>& fetches, const std::vector<Feed>& feeds, const Device& device, SourceLoc loc) {
  Request request;
  request.context = context_of(fetches, loc);
  GraphContext& context = *request.context;
  for (const Fetch& fetch : fetches) {
    request.outputs.push_back(context.lift(fetch.value, loc));
    request.written.push_back(fetch.cell);
  }
  for (const auto& [where, value] : feeds) {
    if (!where.is_symbolic() || where.impl()->context != request.context) {
      backplane::fail("run", "a feed names something that is not a placeholder of this graph", {}, loc);
    }
    const graph::NodeId node = where.impl()->value.node;
    const auto& inputs = context.graph().inputs();
    const auto input = std::find_if(inputs.begin(), inputs.end(), [&](const graph::Input& i) { return i.node == node; });
    if (input == inputs.end() || input->kind != graph::Input::Kind::placeholder) {
      backplane::fail("run", "a feed names %" + std::to_string(node) + ", which is not a placeholder", {}, loc);
    }
    computed(value, "run", loc);
    check_feed(where.type(), value.type(), input->name, loc);
    request.feeds.emplace(node, value);
  }
  // Random state moves on with every run that draws from it.
  const std::vector<bool> needed = graph::live_nodes(context.graph(), request.outputs);
  for (const GraphContext::Write& write : context.writes()) {
    if (!needed[context.read(write.cell, loc, true).impl()->value.node]) continue;
    request.outputs.push_back(write.value);
    request.written.push_back(write.cell);
  }
  request.live = graph::live_nodes(context.graph(), request.outputs);
  request.inputs = context.gather(request.live, request.feeds, device.stream(), loc);
  append(request.key, request.context.get());
  for (graph::Value v : request.outputs) append(request.key, v);
  for (const auto& cell : request.written) append(request.key, cell.get());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    Type type = context.graph().types_of(context.graph().inputs()[i].node)[0];
    if (request.inputs[i].defined()) {
      type = request.inputs[i].type();
    } else if (type.shape.is_dynamic()) {
      type.shape[0] = 1;  // not needed by these fetches
    }
    request.types.push_back(type);
    for (int64_t extent : type.shape) append(request.key, extent);
  }
  return request;
}

}  // namespace

Session::Session(const Device& device) : state_(std::make_unique<State>(State{device, {}, nullptr})) {}
Session::~Session() = default;

namespace {

template <class Plans>
const Prepared& plan_for(Plans& plans, const Request& request, const Device& device) {
  for (auto it = plans.begin(); it != plans.end(); ++it) {
    if (it->key != request.key) continue;
    plans.splice(plans.begin(), plans, it);
    return plans.front().prepared;
  }
  Prepared prepared = prepare(*request.context, request.outputs, request.types, device.stream());
  prepared.written = request.written;
  if (plans.size() >= kMaxPlans) plans.pop_back();
  plans.push_front({request.key, request.context, std::move(prepared)});
  return plans.front().prepared;
}

}  // namespace

std::vector<Tensor> Session::run(const std::vector<Fetch>& fetches, const std::vector<Feed>& feeds, Here here) {
  const Request request = make_request(fetches, feeds, state_->device, here.loc);
  const Prepared& prepared = plan_for(state_->plans, request, state_->device);
  state_->last = prepared.plan;
  std::vector<Tensor> results = run_prepared(prepared, request.inputs, here.loc);
  results.resize(fetches.size());
  return results;
}

Tensor Session::run(const Fetch& fetch, const std::vector<Feed>& feeds, Here here) {
  return run(std::vector<Fetch>{fetch}, feeds, here).front();
}

std::string Session::explain(const std::vector<Fetch>& fetches, const std::vector<Feed>& feeds) {
  const Request request = make_request(fetches, feeds, state_->device, {});
  return explanation_table(*plan_for(state_->plans, request, state_->device).plan);
}

std::pair<size_t, size_t> Session::node_counts() const {
  if (state_->last == nullptr) return {0, 0};
  return {state_->last->stats().nodes, state_->last->stats().fallback_nodes};
}

size_t Session::cached_plans() const { return state_->plans.size(); }

}  // namespace backplane
