// SPDX-License-Identifier: Apache-2.0
// fuse_pointwise: elementwise nodes of one iteration shape become one `pointwise` node with a scalar program.
//
//     %3 = mul(%1, %2)      |
//     %4 = add(%3, full 1)  |  %7, %8 = pointwise(%1, %2) {v2 = v0 * v1; v3 = 1; v4 = v2 + v3; v5 = tanh v4}
//     %5 = tanh(%4)         |     outputs: what is used outside the group
//
// Stages
//  1. levels: a number per node such that it never falls along an edge, and rises along every edge that cannot be fused.
//     Nodes start as early as they can; one that reads a single full-size tensor moves later, to the level of its first
//     user, when that lets the two fuse (a dropout mask, a comparison).
//  2. components: nodes of equal level connected by edges that can be fused. A path that leaves a component goes through
//     an edge that raises the level, so it never comes back: components are convex, and contracted they have no cycle.
//  3. programs: a component in depth-first order is cut where the limits of a program are reached. A lone node becomes a
//     program only if that turns an operand into a constant.
//  4. the device is asked; what it declines stays as it was.
//  5. the graph is written again, each group where its first outside user needs it or its last member was.
//
// What it does not do: recompute a value, fuse a smaller (broadcast) producer into a larger consumer, join groups that
// share only an operand.
#include <algorithm>
#include <numeric>
#include <string>

#include "backplane/graph/ops.h"
#include "passes/passes.h"
#include "passes/program.h"
#include "passes/rewrite.h"
#include "passes/splat.h"

namespace backplane::graph::passes {

namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr size_t kMaxOperands = BP_PROGRAM_MAX_INPUTS;  ///< inputs and outputs together: what Vulkan bindings bear

class Fuser {
 public:
  Fuser(const Graph& graph, const PassContext& context) : graph_(graph), context_(context), rewriter_(graph) {}

  std::unique_ptr<Graph> run() {
    classify();
    set_levels();
    delay();
    find_components();
    if (groups_.empty()) return nullptr;
    emit();
    std::unique_ptr<Graph> out = rewriter_.finish();
    std::unique_ptr<Graph> lean = without_dead_nodes(*out);
    return lean != nullptr ? std::move(lean) : std::move(out);
  }

 private:
  void classify() {
    const size_t n = graph_.size();
    step_.assign(n, false);
    splat_.assign(n, false);
    uses_.assign(n, 0);
    for (NodeId id = 0; id < n; ++id) {
      if (!rewriter_.live(id)) continue;
      step_[id] = is_scalar_step(graph_, id);
      splat_[id] = splat_of(graph_, {id, 0}).has_value();
      for (Value v : graph_.inputs_of(id)) ++uses_[v.node];
    }
    for (Value v : graph_.outputs()) ++uses_[v.node];
  }

  const Shape& shape(NodeId id) const { return graph_.type({id, 0}).shape; }
  bool can_fuse(NodeId producer, NodeId user) const {
    return step_[producer] && step_[user] && shape(producer) == shape(user);
  }
  /// The edge does not exist for the group: the operand becomes a constant of the program.
  bool inlined(NodeId producer, NodeId user) const { return splat_[producer] && step_[user]; }

  // 1. levels
  void set_levels() {
    level_.assign(graph_.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      for (Value v : graph_.inputs_of(id)) {
        if (inlined(v.node, id)) continue;
        level_[id] = std::max(level_[id], level_[v.node] + (can_fuse(v.node, id) ? 0 : 1));
      }
    }
  }

  void delay() {
    std::vector<uint32_t> ceiling(graph_.size(), kNone);
    std::vector<bool> meets(graph_.size(), false);  ///< a user it can be fused with sits at the ceiling
    for (NodeId id = static_cast<NodeId>(graph_.size()); id-- > 0;) {
      if (!rewriter_.live(id)) continue;
      const bool later = step_[id] && ceiling[id] != kNone && ceiling[id] > level_[id];
      if (later && meets[id] && full_size_operands(id) <= 1) level_[id] = ceiling[id];
      for (Value v : graph_.inputs_of(id)) {
        if (inlined(v.node, id)) continue;
        const bool fusable = can_fuse(v.node, id);
        const uint32_t latest = level_[id] - (fusable ? 0 : 1);
        if (latest < ceiling[v.node]) meets[v.node] = false;
        if (latest <= ceiling[v.node]) meets[v.node] = meets[v.node] || fusable;
        ceiling[v.node] = std::min(ceiling[v.node], latest);
      }
    }
  }

  int full_size_operands(NodeId id) const {
    const std::span<const Value> in = graph_.inputs_of(id);
    int count = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const auto before = in.first(i);
      const bool again = std::find(before.begin(), before.end(), in[i]) != before.end();
      count += !again && !splat_[in[i].node] && graph_.type(in[i]).shape == shape(id);
    }
    return count;
  }

  // 2. components
  NodeId root(NodeId id) {
    while (parent_[id] != id) id = parent_[id] = parent_[parent_[id]];
    return id;
  }

  void find_components() {
    parent_.resize(graph_.size());
    std::iota(parent_.begin(), parent_.end(), 0u);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!step_[id]) continue;
      for (Value v : graph_.inputs_of(id)) {
        if (can_fuse(v.node, id) && !splat_[v.node] && level_[v.node] == level_[id]) parent_[root(v.node)] = root(id);
      }
    }
    std::vector<std::vector<NodeId>> members(graph_.size());
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (step_[id] && !splat_[id]) members[root(id)].push_back(id);
    }
    unit_.assign(graph_.size(), kNone);
    position_.assign(graph_.size(), kNone);
    for (std::vector<NodeId>& component : members) {
      if (!component.empty()) cut(depth_first(component));
    }
  }

  /// Operands before users, and a user soon after its operands: few values are open at any place where it may be cut.
  std::vector<NodeId> depth_first(const std::vector<NodeId>& component) {
    if (component.size() == 1) return component;
    std::vector<NodeId> order;
    std::vector<std::pair<NodeId, uint32_t>> stack;
    const NodeId mine = root(component.front());
    const auto wanted = [&](NodeId id) {
      return step_[id] && !splat_[id] && position_[id] == kNone && root(id) == mine;
    };
    for (NodeId start : component) {
      if (!wanted(start)) continue;
      position_[start] = 0;
      stack.push_back({start, 0});
      while (!stack.empty()) {
        auto& [id, next] = stack.back();
        const std::span<const Value> in = graph_.inputs_of(id);
        while (next < in.size() && !wanted(in[next].node)) ++next;
        if (next < in.size()) {
          const NodeId operand = in[next++].node;
          position_[operand] = 0;
          stack.push_back({operand, 0});
        } else {
          order.push_back(id);
          stack.pop_back();
        }
      }
    }
    return order;
  }

  // 3. programs
  void cut(const std::vector<NodeId>& order) {
    for (size_t i = 0; i < order.size(); ++i) position_[order[i]] = static_cast<uint32_t>(i);
    for (size_t begin = 0; begin < order.size();) {
      std::vector<uint32_t> open;
      const size_t end = longest_program(order, begin, open);
      accept(std::span(order).subspan(begin, end - begin), open);
      begin = end;
    }
    for (NodeId id : order) position_[id] = kNone;
  }

  /// One past the last node that still fits into a program beginning at `begin`; `open` are the uses left of each member.
  size_t longest_program(const std::vector<NodeId>& order, size_t begin, std::vector<uint32_t>& open) {
    std::vector<Value> inputs;
    size_t instrs = 0, outputs = 0, best = begin;
    std::vector<uint32_t> left, left_at_best;
    for (size_t at = begin; at < order.size(); ++at) {
      const NodeId id = order[at];
      instrs += graph_.node(id).op->tier == Tier::scalar;
      for (Value v : graph_.inputs_of(id)) {
        const uint32_t where = position_[v.node];
        if (splat_[v.node]) {
          ++instrs;  // an upper bound: equal constants share an instruction
        } else if (where != kNone && where >= begin && where < at && order[where] == v.node) {
          outputs -= --left[where - begin] == 0;
        } else if (std::find(inputs.begin(), inputs.end(), v) == inputs.end()) {
          inputs.push_back(v);
        }
      }
      left.push_back(uses_[id]);
      ++outputs;
      const bool full = instrs > BP_PROGRAM_MAX_INSTRS || inputs.size() >= kMaxOperands;
      if (full && best > begin) break;
      if (at == begin || (outputs <= BP_PROGRAM_MAX_OUTPUTS && inputs.size() + outputs <= kMaxOperands)) {
        best = at + 1;
        left_at_best = left;
      }
    }
    open = std::move(left_at_best);
    return best;
  }

  // 4. the device
  void accept(std::span<const NodeId> members, const std::vector<uint32_t>& open) {
    if (members.size() == 1) {
      const std::span<const Value> in = graph_.inputs_of(members[0]);
      if (std::none_of(in.begin(), in.end(), [&](Value v) { return bool(splat_[v.node]); })) return;
    }
    std::vector<bool> used_outside;
    for (uint32_t uses : open) used_outside.push_back(uses != 0);
    FusedGroup group = fuse(graph_, members, used_outside);
    if (group.inputs.empty() || !device_takes(kernel_of(graph_, group))) return;
    for (NodeId id : members) unit_[id] = static_cast<uint32_t>(groups_.size());
    last_member_.push_back(*std::max_element(members.begin(), members.end()));
    groups_.push_back(std::move(group));
  }

  bool device_takes(const KernelOp& kernel) {
    return context_.stream == nullptr || context_.stream->support(kernel).verdict == BP_SUPPORT_YES;
  }

  // 5. writing
  std::span<const Value> operands_of(NodeId id) const {
    return unit_[id] == kNone ? graph_.inputs_of(id) : std::span<const Value>(groups_[unit_[id]].inputs);
  }

  void emit() {
    // Without a cycle an edge is on the stack once.
    const size_t deepest = std::accumulate(uses_.begin(), uses_.end(), graph_.size());
    std::vector<NodeId> stack;
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!rewriter_.live(id) || (unit_[id] != kNone && last_member_[unit_[id]] != id)) continue;
      stack.push_back(representative(id));
      while (!stack.empty()) {
        const NodeId next = stack.back();
        if (rewriter_.done({next, 0})) {
          stack.pop_back();
          continue;
        }
        const size_t before = stack.size();
        for (Value v : operands_of(next)) {
          if (!rewriter_.done(v)) stack.push_back(representative(v.node));
        }
        if (stack.size() == before) write(next);
        if (stack.size() > deepest) fail_internal("fuse_pointwise: groups form a cycle at %" + std::to_string(next));
      }
    }
  }

  /// One node for a whole group: its first output.
  NodeId representative(NodeId id) const { return unit_[id] == kNone ? id : groups_[unit_[id]].outputs.front(); }

  void write(NodeId id) {
    if (unit_[id] == kNone) {
      rewriter_.copy(id);
      return;
    }
    FusedGroup& group = groups_[unit_[id]];
    std::vector<Value> inputs;
    for (Value v : group.inputs) inputs.push_back(rewriter_.map(v));
    std::vector<Type> types;
    for (DType dtype : group.program.output_dtypes) types.push_back({dtype, shape(id)});
    const NodeId now = rewriter_.out().add(op::pointwise, Attrs(op::pointwise.name, op::pointwise.attrs, {}), inputs,
                                           graph_.node(group.outputs.back()).loc, types,
                                           std::make_shared<const ScalarProgram>(std::move(group.program)));
    for (size_t i = 0; i < group.outputs.size(); ++i) {
      rewriter_.replace({group.outputs[i], 0}, {now, group.output_index[i]});
    }
  }

  const Graph& graph_;
  const PassContext& context_;
  Rewriter rewriter_;
  std::vector<bool> step_, splat_;
  std::vector<uint32_t> uses_, level_, position_;
  std::vector<NodeId> parent_;
  std::vector<uint32_t> unit_;  ///< which group a node belongs to, kNone for none
  std::vector<FusedGroup> groups_;
  std::vector<NodeId> last_member_;
};

}  // namespace

std::unique_ptr<Graph> fuse_pointwise(const Graph& graph, const PassContext& context) {
  return Fuser(graph, context).run();
}

}  // namespace backplane::graph::passes
