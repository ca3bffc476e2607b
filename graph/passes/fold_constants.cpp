// SPDX-License-Identifier: Apache-2.0
// fold_constants: what depends on constants only is computed now, on the reference device, all of it in one graph.
//
// Stages: mark what can be folded (forwards); find where folded values meet the rest; evaluate those; put `full` or
// `constant` in their place. A value all of whose elements are one number is computed as a scalar and stays a `full`,
// whatever its size.
//
// A node is folded if its result is not larger than kSmall bytes, or not larger than kLarge and than twice its operands
// (memory is not traded for a little arithmetic: an iota or an expand of a big constant stays), and its arithmetic is
// below kFlops. With no reference device installed nothing is folded.
#include <unordered_map>
#include <unordered_set>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/splat.h"

namespace backplane::graph::passes {

namespace {

constexpr int64_t kSmall = 64 << 10;
constexpr int64_t kLarge = 1 << 20;
constexpr double kFlops = 1 << 24;

StreamPtr reference_stream() {
  try {
    return Stream::of(host::Registry::instance().reference());
  } catch (const host::Error&) {
    return nullptr;
  }
}

class Folder {
 public:
  explicit Folder(const Graph& graph) : graph_(graph), live_(live_nodes(graph)), kind_(graph.size(), Kind::varies) {}

  std::unique_ptr<Graph> run() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (live_[id]) kind_[id] = classify(id);
    }
    find_frontier();
    if (frontier_.empty()) return nullptr;
    const StreamPtr reference = reference_stream();
    if (reference == nullptr) return nullptr;
    const std::unique_ptr<Graph> small = constant_graph();
    CompileOptions options;
    options.stream = reference;
    options.passes = PassConfig::none();
    results_ = evaluate(*small, {}, options);
    return substitute();
  }

 private:
  enum class Kind : uint8_t { varies, tensor, splat };
  bool is_source(NodeId id) const { return graph_.node(id).op->tier == Tier::source; }

  Kind classify(NodeId id) const {
    const Node& node = graph_.node(id);
    if (is_source(id)) {
      if (!node.op->pure) return Kind::varies;
      return splat_of(graph_, {id, 0}) ? Kind::splat : Kind::tensor;
    }
    if (!node.op->pure || node.op->tier == Tier::deferred) return Kind::varies;
    const std::span<const Type> out = graph_.types_of(id);
    int64_t bytes_in = 0, bytes_out = 0;
    for (const Type& type : out) {
      if (type.shape.is_dynamic()) return Kind::varies;
      bytes_out += type.bytes();
    }
    bool splats = node.num_in != 0;
    for (Value v : graph_.inputs_of(id)) {
      if (kind_[v.node] == Kind::varies) return Kind::varies;
      splats = splats && kind_[v.node] == Kind::splat;
      bytes_in += kind_[v.node] == Kind::splat ? size_of(graph_.type(v).dtype) : graph_.type(v).bytes();
    }
    const bool elementwise = node.op->tier == Tier::scalar || node.op->tier == Tier::view;
    if (splats && elementwise && out.size() == 1) return Kind::splat;
    if (bytes_out > kSmall && (bytes_out > kLarge || bytes_out > 2 * bytes_in)) return Kind::varies;
    const Cost cost = cost_of(*node.op, node.attrs, graph_.input_types(id), out);
    return cost.flops <= kFlops ? Kind::tensor : Kind::varies;
  }

  bool folded(NodeId id) const { return kind_[id] != Kind::varies && !is_source(id); }

  /// Folded values that something unfolded reads.
  void find_frontier() {
    wanted_.assign(graph_.size(), false);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || folded(id)) continue;
      for (Value v : graph_.inputs_of(id)) want(v);
    }
    for (Value v : graph_.outputs()) want(v);
    for (NodeId id = static_cast<NodeId>(graph_.size()); id-- > 0;) {
      if (!wanted_[id] || !folded(id)) continue;
      for (uint32_t out = 0; out < graph_.node(id).num_out; ++out) {
        if (met_.contains(key({id, out}))) frontier_.push_back({id, out});
      }
    }
  }
  static uint64_t key(Value v) { return static_cast<uint64_t>(v.node) << 32 | v.out; }
  void want(Value v) {
    if (!folded(v.node)) return;
    wanted_[v.node] = true;
    met_.insert(key(v));
  }

  /// Only what the frontier needs, each thing once; splats have rank 0 in it.
  std::unique_ptr<Graph> constant_graph() {
    std::vector<bool> needed = wanted_;
    for (NodeId id = static_cast<NodeId>(graph_.size()); id-- > 0;) {
      if (!needed[id]) continue;
      for (Value v : graph_.inputs_of(id)) needed[v.node] = true;
    }
    auto small = std::make_unique<Graph>(Graph::Cse::on);
    std::vector<NodeId> now(graph_.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (needed[id]) now[id] = add(id, now, *small);
    }
    std::vector<Value> outputs;
    std::unordered_map<uint64_t, size_t> places;
    for (Value v : frontier_) {
      const Value result{now[v.node], v.out};
      const auto [found, fresh] = places.try_emplace(key(result), outputs.size());
      if (fresh) outputs.push_back(result);
      result_of_.push_back(found->second);
    }
    small->set_outputs(std::move(outputs));
    return small;
  }

  NodeId add(NodeId id, const std::vector<NodeId>& now, Graph& small) const {
    const Node& node = graph_.node(id);
    small.loc = node.loc;
    if (kind_[id] == Kind::splat && is_source(id)) return add_full(small, *splat_of(graph_, {id, 0}), {}).node;
    if (node.literal != nullptr) return small.add_constant(node.literal).node;
    if (kind_[id] == Kind::splat && node.op->tier == Tier::view) return now[graph_.inputs_of(id)[0].node];
    std::vector<Value> in;
    for (Value v : graph_.inputs_of(id)) {
      const Value operand{now[v.node], v.out};
      const bool whole = kind_[v.node] == Kind::splat && kind_[id] != Kind::splat;
      in.push_back(whole ? small.value(expand(small.sym(operand), graph_.type(v).shape)) : operand);
    }
    std::span<const Type> types = graph_.types_of(id);
    if (kind_[id] == Kind::splat) types = {};  // of another shape than in the graph: inferred
    return small.add(*node.op, node.attrs, in, node.loc, types, node.program);
  }

  std::unique_ptr<Graph> substitute() const {
    Rewriter rewriter(graph_);
    for (size_t i = 0; i < frontier_.size(); ++i) {
      const Value old = frontier_[i];
      const Literal& literal = results_[result_of_[i]];
      rewriter.out().loc = graph_.node(old.node).loc;
      const auto splat = splat_of(literal);
      rewriter.replace(old, splat ? add_full(rewriter.out(), *splat, graph_.type(old).shape)
                                  : rewriter.out().add_constant(std::make_shared<const Literal>(literal)));
    }
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (rewriter.live(id) && !folded(id) && !rewriter.done({id, 0})) rewriter.copy(id);
    }
    auto result = rewriter.finish();
    auto lean = without_dead_nodes(*result);
    return lean != nullptr ? std::move(lean) : std::move(result);
  }

  const Graph& graph_;
  std::vector<bool> live_, wanted_;
  std::vector<Kind> kind_;
  std::unordered_set<uint64_t> met_;
  std::vector<Value> frontier_;
  std::vector<size_t> result_of_;  ///< which result a frontier value is
  std::vector<Literal> results_;
};

}  // namespace

std::unique_ptr<Graph> fold_constants(const Graph& graph, const PassContext&) { return Folder(graph).run(); }

}  // namespace backplane::graph::passes
