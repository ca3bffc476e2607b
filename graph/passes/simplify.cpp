// SPDX-License-Identifier: Apache-2.0
// simplify: the rules of simplify_arithmetic.cpp and simplify_views.cpp, applied to each node after its operands. Because
// a rule looks only at the node and what makes its operands, one sweep reaches almost every fixpoint; what a rule puts
// there is tried again, up to kRounds times. Linear in the graph.
#include <unordered_map>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/simplify_rules.h"

namespace backplane::graph::passes {

namespace {

constexpr int kRounds = 8;

/// `s` as a value of `type`: a smaller one is repeated.
Value fit(Graph& graph, Sym s, const Type& type, std::string_view rule) {
  if (s.type() == type) return graph.value(s);
  if (s.dtype() != type.dtype || s.rank() > type.shape.rank()) {
    fail_internal("simplify rule '" + std::string(rule) + "' gives " + s.type().to_string() + " for " +
                  type.to_string());
  }
  if (const auto splat = splat_of(graph, graph.value(s))) return add_full(graph, *splat, type.shape);
  return graph.value(expand(s, type.shape));
}

}  // namespace

std::span<const SimplifyRule* const> rules_for(const OpDef& op) {
  static const auto* const index = [] {
    auto* map = new std::unordered_map<const OpDef*, std::vector<const SimplifyRule*>>();
    for (const auto rules : {arithmetic_rules(), view_rules()}) {
      for (const SimplifyRule& rule : rules) {
        for (const OpDef* root : rule.roots) (*map)[root].push_back(&rule);
      }
    }
    return map;
  }();
  const auto found = index->find(&op);
  if (found == index->end()) return {};
  return found->second;
}

std::optional<Value> apply_first(Graph& graph, Value value, std::span<const SimplifyRule* const> rules) {
  const At at(graph, value.node);
  if (at.type().shape.is_dynamic()) return std::nullopt;
  for (const SimplifyRule* rule : rules) {
    if (const Rewrite result = rule->apply(at)) return fit(graph, *result, at.type(), rule->name);
  }
  return std::nullopt;
}

namespace {

/// Applies rules until none holds or the value is an older one, which has been through this.
Value settle(Graph& graph, Value value) {
  for (int round = 0; round < kRounds; ++round) {
    const auto before = static_cast<NodeId>(graph.size());
    const std::optional<Value> next = apply_first(graph, value, rules_for(*graph.node(value.node).op));
    if (!next) break;
    value = *next;
    if (value.node < before) break;
  }
  return value;
}

}  // namespace

std::unique_ptr<Graph> simplify(const Graph& graph, const PassContext&) {
  bool changed = false;
  auto result = rewrite(graph, [&](Rewriter& rewriter, NodeId old) {
    const NodeId now = rewriter.copy(old);
    const Node& node = rewriter.out().node(now);
    if (node.num_out != 1 || rules_for(*node.op).empty()) return true;
    rewriter.out().loc = node.loc;
    const Value simple = settle(rewriter.out(), {now, 0});
    changed = changed || simple.node != now;
    rewriter.replace({old, 0}, simple);
    return true;
  });
  if (!changed) return nullptr;
  auto lean = without_dead_nodes(*result);
  return lean != nullptr ? std::move(lean) : std::move(result);
}

}  // namespace backplane::graph::passes
