// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/autodiff.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "backplane/graph/ops.h"

namespace backplane::graph {

namespace {

struct SymHash {
  size_t operator()(const Sym& s) const { return (static_cast<uint64_t>(s.id) << 8 | s.out) * 0x9e3779b97f4a7c15ull; }
};
using SymSet = std::unordered_set<Sym, SymHash>;
using SymMap = std::unordered_map<Sym, Sym, SymHash>;

/// Records what a decomposition applies and passes it on.
class TapeBuilder final : public Builder {
 public:
  explicit TapeBuilder(Builder& inner) : inner_(inner) { loc = inner.loc; }

  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    std::vector<Sym> in;
    for (Sym s : inputs) in.push_back(unwrap(s));
    kept_attrs_.push_back(std::make_unique<Attrs>(attrs));
    std::vector<Sym> out = inner_.apply(op, std::move(attrs), in);
    tape.push_back({&op, kept_attrs_.back().get(), std::move(in), out, loc});
    for (Sym& s : out) s = wrap(s);
    return out;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    return wrap(inner_.constant(type, std::move(bytes)));
  }
  const Type& type_of(Sym s) const override { return inner_.type_of(unwrap(s)); }

  /// A Sym is the inner builder's with this one in front, so it stays comparable.
  Sym wrap(Sym s) { return {this, s.id, s.out}; }
  Sym unwrap(Sym s) const { return {&inner_, s.id, s.out}; }

  std::vector<TapeEntry> tape;

 private:
  Builder& inner_;
  std::vector<std::unique_ptr<Attrs>> kept_attrs_;
};

bool carries_gradient(const Sym& s) { return is_real(s.dtype()); }

/// Values that depend on an x through differentiable ops. `blocked` names the first op that cut a path.
SymSet dependents(std::span<const TapeEntry> tape, std::span<const Sym> xs, const TapeEntry** blocked) {
  SymSet live;
  for (Sym x : xs) {
    if (carries_gradient(x)) live.insert(x);
  }
  for (const TapeEntry& entry : tape) {
    const bool reaches = std::any_of(entry.in.begin(), entry.in.end(), [&](Sym s) { return live.contains(s); });
    if (!reaches) continue;
    if (entry.op->gradient == Gradient::blocked) {
      if (*blocked == nullptr) *blocked = &entry;
      continue;
    }
    for (Sym out : entry.out) {
      if (carries_gradient(out)) live.insert(out);
    }
  }
  return live;
}

class Sweep {
 public:
  Sweep(Builder& builder, const SymSet& live) : builder_(builder), live_(live) {}

  void seed(Sym y, Sym dy) { accumulate(y, dy); }

  void run(std::span<const TapeEntry> tape) {
    for (auto entry = tape.rbegin(); entry != tape.rend(); ++entry) {
      std::vector<Sym> dy;
      bool any = false;
      for (Sym out : entry->out) {
        const auto found = grads_.find(out);
        dy.push_back(found != grads_.end() ? found->second : Sym{});
        any = any || found != grads_.end();
      }
      if (!any || entry->op->gradient == Gradient::blocked) continue;
      std::vector<char> wants;
      for (Sym in : entry->in) wants.push_back(live_.contains(in) ? 1 : 0);
      if (std::none_of(wants.begin(), wants.end(), [](char w) { return w != 0; })) continue;
      builder_.loc = entry->loc;
      const std::vector<Sym> dx = vjp(*entry, dy, {reinterpret_cast<const bool*>(wants.data()), wants.size()});
      for (size_t i = 0; i < dx.size(); ++i) {
        if (wants[i] != 0 && dx[i]) accumulate(entry->in[i], sum_to(dx[i], entry->in[i].shape()));
      }
    }
  }

  Sym grad(Sym x) const {
    const auto found = grads_.find(x);
    return found != grads_.end() ? found->second : Sym{};
  }

 private:
  void accumulate(Sym to, Sym contribution) {
    const auto [slot, fresh] = grads_.try_emplace(to, contribution);
    if (!fresh) slot->second = slot->second + contribution;
  }

  std::vector<Sym> vjp(const TapeEntry& entry, std::span<const Sym> dy, std::span<const bool> wants) {
    if (entry.op->vjp != nullptr) {
      VjpArgs args{builder_, *entry.attrs, entry.in, entry.out, dy, wants, std::vector<Sym>(entry.in.size())};
      entry.op->vjp(args);
      return std::move(args.dx);
    }
    if (entry.op->decompose == nullptr) {
      std::vector<Type> operands;
      for (Sym s : entry.in) operands.push_back(s.type());
      backplane::fail(entry.op->name, "has no gradient", operands, entry.loc,
                      "register a VJP or a decomposition for it, or put stop_gradient around it");
    }
    TapeBuilder tape(builder_);
    std::vector<Sym> wrapped;
    for (Sym s : entry.in) wrapped.push_back(tape.wrap(s));
    std::vector<Sym> ys = entry.op->decompose({tape, *entry.attrs, wrapped});
    std::vector<Sym> used_ys, used_dys, xs;
    for (size_t i = 0; i < ys.size(); ++i) {
      if (!dy[i]) continue;
      used_ys.push_back(tape.unwrap(ys[i]));
      used_dys.push_back(dy[i]);
    }
    for (Sym s : entry.in) xs.push_back(s);
    std::vector<Sym> dx = gradients(builder_, tape.tape, used_ys, xs, used_dys, true);
    // A value that is an operand twice has its whole gradient now, in both places: it counts once.
    for (size_t i = 1; i < xs.size(); ++i) {
      if (std::find(xs.begin(), xs.begin() + static_cast<int64_t>(i), xs[i]) != xs.begin() + static_cast<int64_t>(i)) dx[i] = {};
    }
    return dx;
  }

  Builder& builder_;
  const SymSet& live_;
  SymMap grads_;
};

Sym ones_for(Builder& builder, Sym y, SourceLoc loc) {
  if (y.type().elements() != 1) {
    backplane::fail("gradients", "the value to differentiate has more than one element", std::span(&y.type(), 1), loc,
                    "reduce it with sum() or mean(), or give the gradient that comes into it");
  }
  return full(builder, 1.0, gradient_dtype(y.dtype()), y.shape());
}

[[noreturn]] void fail_unconnected(Sym x, const TapeEntry* blocked, SourceLoc loc) {
  std::string what = "the result does not depend on " + x.type().to_string() + " in a differentiable way";
  if (blocked != nullptr) {
    what += "; the way ends at '" + std::string(blocked->op->name) + "'";
    if (const std::string at = blocked->loc.to_string(); !at.empty()) what += " (" + at + ")";
  }
  backplane::fail("gradients", what, {}, loc, "check that the variable is used, or ask for gradients of the others only");
}

}  // namespace

Sym sum_to(Sym x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int extra = x.rank() - shape.rank();
  std::vector<int64_t> axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axis < extra || (shape[axis - extra] == 1 && x.shape()[axis] != 1)) axes.push_back(axis);
  }
  Sym sum = reduce_sum(x, axes);
  if (sum.shape() == shape) return sum;
  if (sum.type().elements() == shape.elements()) return reshape(sum, shape);
  // The contribution is smaller than the value it belongs to (a scalar gradient of a broadcast operand).
  return copy(expand(sum, shape));
}

std::vector<Sym> gradients(Builder& builder, std::span<const TapeEntry> tape, std::span<const Sym> ys,
                           std::span<const Sym> xs, std::span<const Sym> dys, bool allow_unconnected) {
  const SourceLoc loc = builder.loc;
  const TapeEntry* blocked = nullptr;
  const SymSet live = dependents(tape, xs, &blocked);
  Sweep sweep(builder, live);
  for (size_t i = 0; i < ys.size(); ++i) {
    if (!live.contains(ys[i])) continue;
    const Sym dy = i < dys.size() && dys[i] ? dys[i] : ones_for(builder, ys[i], loc);
    sweep.seed(ys[i], sum_to(dy, ys[i].shape()));
  }
  sweep.run(tape);
  builder.loc = loc;
  std::vector<Sym> result;
  for (Sym x : xs) {
    result.push_back(sweep.grad(x));
    if (!result.back() && !allow_unconnected) fail_unconnected(x, blocked, loc);
  }
  return result;
}

std::vector<TapeEntry> tape_of(Graph& graph, NodeId end) {
  std::vector<TapeEntry> tape;
  tape.reserve(end);
  for (NodeId id = 0; id < end; ++id) {
    const Node& node = graph.node(id);
    if (node.op->tier == Tier::source) continue;
    TapeEntry entry{node.op, &node.attrs, {}, {}, node.loc};
    for (Value v : graph.inputs_of(id)) entry.in.push_back(graph.sym(v));
    for (uint32_t i = 0; i < node.num_out; ++i) entry.out.push_back(graph.sym({id, i}));
    tape.push_back(std::move(entry));
  }
  return tape;
}

}  // namespace backplane::graph
