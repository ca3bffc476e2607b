// SPDX-License-Identifier: Apache-2.0
// The reverse sweep over eager history: recorded ops in order of creation become a tape, and an eager builder runs the
// forward ops that VJPs are made of.
#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "backplane/graph/autodiff.h"
#include "graph_context.h"
#include "tensor_impl.h"

namespace backplane {

namespace {

using graph::Attrs;
using graph::OpDef;
using graph::Sym;

/// Applies ops to tensors; a Sym is a position in its list.
class EagerBuilder final : public graph::Builder {
 public:
  explicit EagerBuilder(graph::StreamPtr stream) : stream_(std::move(stream)) {}

  Sym add(Tensor tensor) {
    values_.push_back(std::move(tensor));
    return {this, static_cast<uint32_t>(values_.size() - 1), 0};
  }
  const Tensor& tensor(Sym s) const { return values_[s.id]; }
  void replace(Sym s, Tensor tensor) { values_[s.id] = std::move(tensor); }

  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    std::vector<Tensor> in;
    for (Sym s : inputs) {
      in.push_back(values_[s.id]);
      if (in.back().impl()->storage == nullptr) {
        fail_internal("the gradient of an op reads a value that it does not save, in '" + std::string(op.name) + "'");
      }
    }
    std::vector<Sym> out;
    for (Tensor& t : eager_apply(op, attrs, in, loc, stream_)) out.push_back(add(std::move(t)));
    return out;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    return add(Tensor::from_bytes(bytes, type, Device(stream_)));
  }
  const Type& type_of(Sym s) const override { return values_[s.id].type(); }

 private:
  graph::StreamPtr stream_;
  std::deque<Tensor> values_;
};

/// Two tensors are the same value when they are the same output of the same op, the same leaf, or the same object.
struct Identity {
  const void* what = nullptr;
  uint32_t output = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};
struct IdentityHash {
  size_t operator()(const Identity& i) const {
    return (reinterpret_cast<uintptr_t>(i.what) ^ i.output) * 0x9e3779b97f4a7c15ull;
  }
};
Identity identity_of(const TensorImpl& impl) {
  if (impl.history != nullptr) return {impl.history.get(), impl.output};
  if (impl.leaf != nullptr) return {impl.leaf.get(), 0};
  return {&impl, 0};
}

std::vector<std::shared_ptr<History>> reachable(std::span<const Tensor> ys) {
  std::unordered_set<const History*> seen;
  std::vector<std::shared_ptr<History>> found;
  std::vector<std::shared_ptr<History>> open;
  const auto visit = [&](const std::shared_ptr<History>& h) {
    if (h != nullptr && seen.insert(h.get()).second) open.push_back(h);
  };
  for (const Tensor& y : ys) visit(y.impl()->history);
  while (!open.empty()) {
    std::shared_ptr<History> h = std::move(open.back());
    open.pop_back();
    for (const auto& input : h->inputs) visit(input->history);
    found.push_back(std::move(h));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->sequence < b->sequence; });
  return found;
}

class TapeMaker {
 public:
  explicit TapeMaker(EagerBuilder& builder) : builder_(builder) {}

  Sym sym(const std::shared_ptr<const TensorImpl>& impl) {
    const auto [slot, fresh] = syms_.try_emplace(identity_of(*impl));
    if (fresh) {
      slot->second = builder_.add(Tensor(impl));
      if (impl->leaf != nullptr && impl->history == nullptr) leaves.push_back({impl->leaf, slot->second});
    } else if (impl->storage != nullptr && builder_.tensor(slot->second).impl()->storage == nullptr) {
      builder_.replace(slot->second, Tensor(impl));
    }
    return slot->second;
  }

  graph::TapeEntry entry(const std::shared_ptr<History>& h) {
    graph::TapeEntry entry{h->op, &h->attrs, {}, {}, h->loc};
    for (const auto& input : h->inputs) entry.in.push_back(sym(input));
    for (uint32_t i = 0; i < h->outputs.size(); ++i) {
      auto impl = std::make_shared<TensorImpl>(h->outputs[i]);
      impl->history = h;
      impl->output = i;
      entry.out.push_back(sym(impl));
    }
    return entry;
  }

  std::vector<std::pair<std::shared_ptr<Leaf>, Sym>> leaves;

 private:
  EagerBuilder& builder_;
  std::unordered_map<Identity, Sym, IdentityHash> syms_;
};

}  // namespace

std::vector<Tensor> eager_gradients(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> dys,
                                    SourceLoc loc, std::vector<std::shared_ptr<Leaf>>* leaves) {
  for (const Tensor& y : ys) computed(y, "gradients", loc);
  EagerBuilder builder(ys.front().impl()->storage->stream());
  builder.loc = loc;
  TapeMaker maker(builder);
  std::vector<graph::TapeEntry> tape;
  for (const auto& history : reachable(ys)) tape.push_back(maker.entry(history));
  std::vector<Sym> y_syms, x_syms, dy_syms;
  for (const Tensor& y : ys) y_syms.push_back(maker.sym(y.impl()));
  for (const Tensor& x : xs) x_syms.push_back(maker.sym(x.impl()));
  for (const Tensor& dy : dys) {
    computed(dy, "gradients", loc);
    dy_syms.push_back(builder.add(dy));
  }
  const bool all_leaves = leaves != nullptr;
  if (all_leaves) {
    for (const auto& [leaf, sym] : maker.leaves) {
      leaves->push_back(leaf);
      x_syms.push_back(sym);
    }
  }
  std::vector<Tensor> result;
  for (Sym s : graph::gradients(builder, tape, y_syms, x_syms, dy_syms, all_leaves)) {
    result.push_back(s ? builder.tensor(s) : Tensor());
  }
  return result;
}

std::vector<Tensor> gradients(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> dys,
                              Here here) {
  if (ys.empty() || xs.empty()) return {};
  for (const auto* list : {&ys, &xs, &dys}) {
    for (const Tensor& t : *list) {
      if (!t.defined()) backplane::fail("gradients", "an operand is undefined", {}, here.loc);
      if (t.is_symbolic()) return t.impl()->context->gradients(ys, xs, dys, here.loc);
    }
  }
  return eager_gradients(ys, xs, dys, here.loc, nullptr);
}

std::vector<Tensor> gradients(const Tensor& y, std::span<const Tensor> xs, Here here) {
  return gradients(std::span(&y, 1), xs, {}, here);
}

}  // namespace backplane
