// SPDX-License-Identifier: Apache-2.0
// The rules of simplify as data: what they look for, what they put there, how exact that is, and the examples from which
// their tests are made.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/ops.h"
#include "passes/splat.h"

namespace backplane::graph::passes {

/// One application of an op, as a rule sees it.
class At {
 public:
  At(Graph& graph, NodeId id) : graph_(graph), id_(id) {}

  const Attrs& attrs() const { return graph_.node(id_).attrs; }
  const Type& type() const { return graph_.type({id_, 0}); }
  Graph& graph() const { return graph_; }
  size_t arity() const { return graph_.node(id_).num_in; }
  Sym in(size_t i) const { return graph_.sym(graph_.inputs_of(id_)[i]); }
  Sym self() const { return graph_.sym({id_, 0}); }

  /// The application of `op` that makes `s`, if there is one.
  std::optional<At> made_by(Sym s, const OpDef& op) const {
    if (graph_.node(s.id).op != &op) return std::nullopt;
    return At(graph_, s.id);
  }
  std::optional<Splat> splat(Sym s) const { return splat_of(graph_, graph_.value(s)); }
  bool is(Sym s, double value) const {
    const auto known = splat(s);
    return known && known->is(value);
  }
  /// A number of this node's type.
  Sym number(double value) const { return full(graph_, value, type().dtype, type().shape); }

 private:
  Graph& graph_;
  NodeId id_;
};

/// What stands in for the application, or nothing when the rule does not hold there. A result of smaller shape is
/// expanded by the driver, as broadcasting would have done. Rules make scalar ops, views and `full` only: they also run after
/// composites have been decomposed.
using Rewrite = std::optional<Sym>;

/// A graph on which the rule has to fire, at the node that `build` returns.
struct Example {
  std::vector<Type> inputs;
  Sym (*build)(std::span<const Sym> x);
};

struct SimplifyRule {
  std::string_view name;  ///< the law: "x * 1 = x"
  std::vector<const OpDef*> roots;
  Rewrite (*apply)(const At& at);
  std::vector<Example> examples;
  int ulps = 0;           ///< how far the two sides may be apart; 0: the same bits (NaNs count as one value)
};

std::span<const SimplifyRule> arithmetic_rules();
std::span<const SimplifyRule> view_rules();

/// Applies the first of `rules` that holds at `value`; nothing when none does. The result has the same type.
std::optional<Value> apply_first(Graph& graph, Value value, std::span<const SimplifyRule* const> rules);
/// Rules whose root `op` is, in table order.
std::span<const SimplifyRule* const> rules_for(const OpDef& op);

}  // namespace backplane::graph::passes
