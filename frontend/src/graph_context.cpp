// SPDX-License-Identifier: Apache-2.0
#include "graph_context.h"

#include <algorithm>
#include <sstream>

#include "backplane/graph/ops.h"
#include "backplane/host/environment.h"

namespace backplane {

namespace {

thread_local std::vector<GraphContext*> building;

constexpr int64_t kLargestInlineConstant = 4096;  ///< bytes; larger tensors become inputs that are bound to the graph

[[noreturn]] void fail_frozen(const TensorImpl& impl, SourceLoc loc) {
  std::string what = "a value computed eagerly from variable '" + impl.origin->variable + "'";
  if (const std::string at = impl.origin->loc.to_string(); !at.empty()) what += " (made at " + at + ")";
  if (impl.history != nullptr) {
    if (const std::string at = impl.history->loc.to_string(); !at.empty()) what += " at " + at;
  }
  what += " enters a graph, where it would be frozen";
  backplane::fail("graph", what, std::span(&impl.type, 1), loc,
                  "read the variable inside the graph's scope or the compiled function; if a constant is meant, make one with "
                  "Tensor::from(x.to_vector<float>(), x.shape())");
}

}  // namespace

GraphContext* GraphContext::current() { return building.empty() ? nullptr : building.back(); }

GraphContext::Scope::Scope(GraphContext& context) : context_(context) { building.push_back(&context); }
GraphContext::Scope::~Scope() {
  building.pop_back();
  if (context_.tracing_) context_.grads_.clear();
}

graph::Value GraphContext::new_input(graph::Input::Kind kind, const Type& type, std::string name, Source source,
                                     SourceLoc loc) {
  graph_.loc = loc;
  source.loc = loc;
  sources_.push_back(std::move(source));
  return graph_.add_input(kind, type, std::move(name), sources_.size());
}

Tensor GraphContext::tensor(graph::Value value) {
  auto impl = std::make_shared<TensorImpl>();
  impl->type = graph_.type(value);
  impl->context = shared_from_this();
  impl->value = value;
  return Tensor(std::move(impl));
}

Tensor GraphContext::add_placeholder(const Type& type, std::string name, SourceLoc loc) {
  for (int axis = 1; axis < type.shape.rank(); ++axis) {
    if (type.shape[axis] == dyn) {
      backplane::fail("placeholder", "only the leading extent may be unknown", std::span(&type, 1), loc);
    }
  }
  return tensor(new_input(graph::Input::Kind::placeholder, type, std::move(name), {}, loc));
}

graph::Value GraphContext::lift(const Tensor& x, SourceLoc loc) {
  if (!x.defined()) backplane::fail("graph", "an operand is undefined", {}, loc, "give it a value first");
  const TensorImpl& impl = *x.impl();
  if (impl.context != nullptr) {
    if (impl.context.get() == this) return impl.value;
    backplane::fail("graph", "an operand belongs to another graph or to a finished trace", std::span(&impl.type, 1), loc,
                    "build the whole expression in one graph; return values out of compiled functions");
  }
  if (impl.origin != nullptr) fail_frozen(impl, loc);
  if (const auto found = lifted_.find(&impl); found != lifted_.end()) return found->second;
  graph_.loc = loc;
  const graph::Value value =
      impl.type.bytes() <= kLargestInlineConstant
          ? graph_.add_constant(std::make_shared<graph::Literal>(graph::Literal{impl.type, x.to_bytes()}))
          : new_input(graph::Input::Kind::bound, impl.type, "", {nullptr, to_dense(x), {}}, loc);
  kept_.push_back(x);
  lifted_.emplace(&impl, value);
  return value;
}

Tensor GraphContext::read(const std::shared_ptr<VariableCell>& cell, SourceLoc loc, bool initial) {
  const auto assigned = assigned_.find(cell.get());
  if (assigned != assigned_.end() && !initial) return tensor(assigned->second);
  if (!reads_.contains(cell.get())) {
    const graph::Value value = new_input(graph::Input::Kind::variable, cell->type, cell->name, {cell, {}, {}}, loc);
    reads_[cell.get()] = value;
    if (cell->trainable) leaves_.push_back({cell->leaf, value});
  }
  return tensor(reads_[cell.get()]);
}

void GraphContext::write(const std::shared_ptr<VariableCell>& cell, const Tensor& value, SourceLoc loc) {
  const graph::Value lifted = lift(value, loc);
  if (!(graph_.type(lifted) == cell->type)) {
    const Type types[] = {cell->type, graph_.type(lifted)};
    backplane::fail("assign", "variable '" + cell->name + "' and its new value differ in type", types, loc,
                    "assign a value of the same dtype and shape");
  }
  assigned_[cell.get()] = lifted;
  const auto earlier = std::find_if(writes_.begin(), writes_.end(), [&](const Write& w) { return w.cell == cell; });
  if (earlier != writes_.end()) {
    earlier->value = lifted;
  } else {
    writes_.push_back({cell, lifted});
  }
}

Tensor GraphContext::grad(const std::shared_ptr<Leaf>& leaf) const {
  const auto found = grads_.find(leaf.get());
  return found != grads_.end() ? found->second : Tensor();
}

void GraphContext::set_grad(const std::shared_ptr<Leaf>& leaf, Tensor grad) { grads_[leaf.get()] = std::move(grad); }

Tensor GraphContext::mark_leaf(const Tensor& x) {
  auto impl = std::make_shared<TensorImpl>(*x.impl());
  impl->leaf = std::make_shared<Leaf>();
  leaves_.push_back({impl->leaf, impl->value});
  return Tensor(std::move(impl));
}

std::vector<Tensor> GraphContext::gradients(std::span<const Tensor> ys, std::span<const Tensor> xs,
                                            std::span<const Tensor> dys, SourceLoc loc) {
  std::vector<graph::Value> operands;
  for (const auto* list : {&ys, &xs, &dys}) {
    for (const Tensor& t : *list) operands.push_back(lift(t, loc));
  }
  for (size_t i = 0; dys.empty() && i < ys.size(); ++i) {
    const Shape& shape = ys[i].shape();
    if (shape.is_dynamic() || shape.elements() != 1) {
      backplane::fail("gradients", "the value to differentiate has more than one element", std::span(&ys[i].type(), 1), loc,
                      "reduce it with sum() or mean(), or give the gradient that comes into it");
    }
  }
  const graph::AttrArg args[] = {{"ys", static_cast<int64_t>(ys.size())}, {"xs", static_cast<int64_t>(xs.size())}};
  const graph::OpDef& op = graph::op::gradients;
  const graph::NodeId id = graph_.add(op, graph::Attrs(op.name, op.attrs, args), operands, loc);
  std::vector<Tensor> result;
  for (uint32_t i = 0; i < xs.size(); ++i) result.push_back(tensor({id, i}));
  return result;
}

void GraphContext::backward(const Tensor& y, const Tensor& dy, SourceLoc loc) {
  // Which leaves does y depend on in a differentiable way?
  std::vector<char> reached(graph_.size(), 0);
  reached[y.impl()->value.node] = 1;
  for (auto id = static_cast<graph::NodeId>(graph_.size()); id-- > 0;) {
    if (reached[id] == 0 || graph_.node(id).op->gradient == graph::Gradient::blocked) continue;
    for (graph::Value v : graph_.inputs_of(id)) reached[v.node] |= is_real(graph_.type(v).dtype) ? 1 : 0;
  }
  std::vector<std::shared_ptr<Leaf>> leaves;
  std::vector<Tensor> xs;
  for (const auto& [leaf, value] : leaves_) {
    if (reached[value.node] == 0) continue;
    leaves.push_back(leaf);
    xs.push_back(tensor(value));
  }
  if (xs.empty()) {
    backplane::fail("backward", "the result does not depend on any tensor that requires a gradient",
                    std::span(&y.type(), 1), loc, "use a Variable, or requires_grad() on an input");
  }
  const std::vector<Tensor> dys = dy.defined() ? std::vector<Tensor>{dy} : std::vector<Tensor>{};
  const std::vector<Tensor> grads = gradients(std::span(&y, 1), xs, dys, loc);
  for (size_t i = 0; i < leaves.size(); ++i) {
    Tensor& slot = grads_[leaves[i].get()];
    slot = slot.defined() ? slot + grads[i] : grads[i];
  }
}

std::vector<Tensor> GraphContext::gather(const std::vector<bool>& live, const std::unordered_map<uint32_t, Tensor>& feeds,
                                         const graph::StreamPtr& stream, SourceLoc loc) {
  std::vector<Tensor> values(sources_.size());
  for (size_t i = 0; i < sources_.size(); ++i) {
    const graph::Input& input = graph_.inputs()[i];
    if (!live[input.node]) continue;
    const Source& source = sources_[i];
    if (source.cell != nullptr) {
      values[i] = source.cell->value_on(stream);
    } else if (source.bound.defined()) {
      values[i] = source.bound.to(Device(stream));
    } else if (const auto feed = feeds.find(input.node); feed != feeds.end()) {
      values[i] = to_dense(feed->second.to(Device(stream)));
    } else {
      const Type& type = graph_.types_of(input.node)[0];
      std::string what = "placeholder '" + input.name + "'";
      if (const std::string at = source.loc.to_string(); !at.empty()) what += " (made at " + at + ")";
      backplane::fail("run", what + " has no feed", std::span(&type, 1), loc, "add {placeholder, tensor} to the feeds");
    }
  }
  return values;
}

graph::CompileOptions compile_options(const graph::StreamPtr& stream) {
  static const graph::Fallback fallback = [] {
    const auto text = host::environment("BACKPLANE_FALLBACK");
    if (!text || *text == "allow") return graph::Fallback::allow;
    if (*text == "error") return graph::Fallback::error;
    throw Error("[environment] BACKPLANE_FALLBACK='" + *text + "' is neither 'allow' nor 'error'");
  }();
  static const bool capture = [] {
    const std::string text = host::environment("BACKPLANE_CAPTURE").value_or("on");
    if (text == "on" || text == "off") return text == "on";
    throw Error("[environment] BACKPLANE_CAPTURE='" + text + "' is neither 'on' nor 'off'");
  }();
  graph::CompileOptions options;
  options.stream = stream;
  options.fallback = fallback;
  options.capture = capture;
  return options;
}

Prepared prepare(GraphContext& context, std::span<const graph::Value> outputs, std::span<const Type> input_types,
                 const graph::StreamPtr& stream) {
  Prepared prepared;
  prepared.live = graph::live_nodes(context.graph(), outputs);
  const auto specialised = graph::specialise(context.graph(), input_types, outputs);
  try {
    prepared.plan = graph::Plan::compile(*specialised, compile_options(stream));
  } catch (const host::Error& error) {
    backplane::fail("compile", error.what());
  }
  return prepared;
}

std::vector<Tensor> run_prepared(const Prepared& prepared, std::span<const Tensor> inputs, SourceLoc loc) {
  std::vector<graph::Bound> bound;
  bound.reserve(inputs.size());
  for (const Tensor& x : inputs) bound.push_back(x.defined() ? x.impl()->bound() : graph::Bound{});
  std::vector<Tensor> results;
  try {
    for (const graph::Bound& out : prepared.plan->run(bound)) results.push_back(make_tensor(out));
  } catch (const host::Error& error) {
    backplane::fail("run", error.what(), {}, loc);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (prepared.written[i] != nullptr) prepared.written[i]->set(results[i], loc);
  }
  return results;
}

std::string explanation_table(const graph::Plan& plan) {
  std::vector<std::array<std::string, 8>> rows = {{"node", "op", "type", "device", "how", "level", "reason", "source"}};
  for (const graph::Explanation& e : plan.explain()) {
    rows.push_back({e.node, e.op, e.type, e.device, e.how, e.level, e.reason, e.source});
  }
  std::array<size_t, 8> widths{};
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], std::min<size_t>(row[i].size(), 60));
  }
  std::ostringstream out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out << row[i] << std::string(widths[i] > row[i].size() ? widths[i] - row[i].size() + 2 : 2, ' ');
    }
    out << '\n';
  }
  const graph::PlanStats& stats = plan.stats();
  out << stats.nodes << " launches on the device, " << stats.fallback_nodes << " on the host fallback";
  if (stats.fallback_nodes > 0) out << " (" << stats.fallback_bytes << " bytes copied per run)";
  out << "; arena " << stats.arena_bytes << " bytes, lower bound " << stats.arena_lower_bound << '\n';
  return out.str();
}

}  // namespace backplane
