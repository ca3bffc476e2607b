// SPDX-License-Identifier: Apache-2.0
// Eager mode: every op is a plan of a one-node graph, cached by op, attributes, operand types and strides. What is
// recorded for gradients is the op, its operands and its results; the reverse sweep is graph/autodiff's.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <list>
#include <unordered_map>
#include <unordered_set>

#include "backplane/graph/autodiff.h"
#include "backplane/graph/ops.h"
#include "backplane/graph/plan.h"
#include "graph_context.h"
#include "tensor_impl.h"

namespace backplane {

namespace {

using graph::AttrArg;
using graph::Attrs;
using graph::OpDef;
using graph::Saves;
using graph::StreamPtr;
using graph::Sym;
using graph::Tier;

constexpr size_t kMaxPlans = 4096;
constexpr size_t kMaxScalars = 1024;

thread_local bool recording = true;
std::atomic<uint64_t> next_sequence{1};
std::atomic<size_t> device_launches{0}, fallback_launches{0};

/// Plans of single ops. Bounded: the oldest make room.
class PlanCache {
 public:
  std::shared_ptr<graph::Plan> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    return found != plans_.end() ? found->second : nullptr;
  }
  void insert(const std::string& key, std::shared_ptr<graph::Plan> plan) {
    const std::lock_guard lock(mutex_);
    if (plans_.size() >= kMaxPlans) {
      plans_.erase(order_.front());
      order_.pop_front();
    }
    if (plans_.emplace(key, std::move(plan)).second) order_.push_back(key);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<graph::Plan>> plans_;
  std::list<std::string> order_;
};

PlanCache& plan_cache() {
  static auto* const cache = new PlanCache();
  return *cache;
}

/// Writes values one after the other into memory that is large enough.
struct KeyWriter {
  char* at;
  void put(const void* data, size_t bytes) {
    if (bytes == 0) return;  // an empty list has no address
    std::memcpy(at, data, bytes);
    at += bytes;
  }
  template <class T>
  void put(const T& value) {
    put(&value, sizeof value);
  }
};

/// The op as a problem: what decides which plan runs it, offsets excluded. On every op's path, so it is written into a
/// buffer of the largest size it can have.
void make_key(std::string& key, const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs,
              const StreamPtr& stream) {
  constexpr size_t kPerInput = 2 + 2 * kMaxRank * sizeof(int64_t);
  const auto words = attrs.words();
  key.resize(2 * sizeof(void*) + words.size_bytes() + inputs.size() * kPerInput);
  KeyWriter writer{key.data()};
  writer.put(&op);
  writer.put(stream.get());
  writer.put(words.data(), words.size_bytes());
  for (const Tensor& x : inputs) {
    const TensorImpl& impl = *x.impl();
    const auto rank = static_cast<size_t>(impl.type.shape.rank());
    writer.put(impl.type.dtype);
    writer.put(static_cast<uint8_t>(rank));
    writer.put(impl.type.shape.begin(), rank * sizeof(int64_t));
    writer.put(impl.layout.strides.data(), rank * sizeof(int64_t));
  }
  key.resize(static_cast<size_t>(writer.at - key.data()));
}

StreamPtr stream_of(const OpDef& op, std::span<const Tensor> inputs, SourceLoc loc) {
  StreamPtr stream;
  for (const Tensor& x : inputs) {
    const StreamPtr& own = x.impl()->storage->stream();
    if (stream == nullptr) stream = own;
    if (own == stream) continue;
    std::vector<Type> types;
    for (const Tensor& t : inputs) types.push_back(t.type());
    backplane::fail(op.name, "operands are on different devices, " + stream->device()->name() + " and " + own->device()->name(),
                    types, loc, "bring them together with to(device)");
  }
  return stream != nullptr ? stream : default_device().stream();
}

std::shared_ptr<graph::Plan> make_plan(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs, SourceLoc loc,
                                       const StreamPtr& stream) {
  graph::Graph g;
  g.loc = loc;
  std::vector<graph::Value> values;
  std::vector<Layout> layouts;
  for (const Tensor& x : inputs) {
    values.push_back(g.add_input(graph::Input::Kind::bound, x.type(), ""));
    layouts.push_back(x.impl()->layout);
    layouts.back().offset = 0;
  }
  const graph::NodeId id = g.add(op, attrs, values, loc);
  std::vector<graph::Value> outputs;
  for (uint32_t i = 0; i < g.node(id).num_out; ++i) outputs.push_back({id, i});
  g.set_outputs(std::move(outputs));
  return graph::Plan::compile(g, compile_options(stream), layouts);
}

/// A view op only changes the layout; nothing when the strides do not allow it.
std::optional<Tensor> as_view(const OpDef& op, const Attrs& attrs, const Tensor& x, SourceLoc loc) {
  const TensorImpl& impl = *x.impl();
  const Type type = graph::infer_types(op, attrs, std::span(&impl.type, 1), loc).front();
  const auto layout = op.view(attrs, impl.type, impl.layout, type);
  if (!layout) return std::nullopt;
  return make_tensor({impl.storage, type, *layout});
}

std::vector<Tensor> compute(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs, SourceLoc loc,
                            const StreamPtr& stream) {
  if (op.tier == Tier::view) {
    if (auto view = as_view(op, attrs, inputs[0], loc)) return {std::move(*view)};
    return {*as_view(op, attrs, to_dense(inputs[0]), loc)};
  }
  thread_local std::string key;
  make_key(key, op, attrs, inputs, stream);
  std::shared_ptr<graph::Plan> plan = plan_cache().find(key);
  if (plan == nullptr) {
    plan = make_plan(op, attrs, inputs, loc, stream);
    make_key(key, op, attrs, inputs, stream);  // compiling may have used the buffer for ops of its own
    plan_cache().insert(key, plan);
  }
  std::array<graph::Bound, 4> few;
  std::vector<graph::Bound> many;
  std::span<graph::Bound> bound(few.data(), std::min(inputs.size(), few.size()));
  if (inputs.size() > few.size()) {
    many.resize(inputs.size());
    bound = many;
  }
  for (size_t i = 0; i < inputs.size(); ++i) bound[i] = inputs[i].impl()->bound();
  const std::vector<graph::Bound> outputs = plan->run(bound);
  std::vector<Tensor> results;
  results.reserve(outputs.size());
  for (const graph::Bound& out : outputs) results.push_back(make_tensor(out));
  device_launches.fetch_add(plan->stats().nodes, std::memory_order_relaxed);
  fallback_launches.fetch_add(plan->stats().fallback_nodes, std::memory_order_relaxed);
  return results;
}

/// The part of a value that an op's VJP may look at; without data it still says where it came from.
std::shared_ptr<const TensorImpl> saved(const Tensor& x, bool keep_data) {
  if (keep_data) return x.impl();
  auto impl = std::make_shared<TensorImpl>(*x.impl());
  impl->storage = nullptr;
  return impl;
}

void record(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs, std::vector<Tensor>& outputs,
            SourceLoc loc) {
  const bool keep_inputs = op.vjp == nullptr || op.saves == Saves::inputs || op.saves == Saves::inputs_and_outputs;
  const bool keep_outputs = op.saves == Saves::outputs || op.saves == Saves::inputs_and_outputs;
  auto history = std::make_shared<History>();
  history->op = &op;
  history->attrs = attrs;
  history->loc = loc;
  history->sequence = next_sequence.fetch_add(1, std::memory_order_relaxed);
  history->inputs.reserve(inputs.size());
  history->outputs.reserve(outputs.size());
  for (const Tensor& x : inputs) history->inputs.push_back(saved(x, keep_inputs));
  for (uint32_t i = 0; i < outputs.size(); ++i) {
    history->outputs.push_back(*outputs[i].impl());
    if (!keep_outputs) history->outputs.back().storage = nullptr;
    // Freshly made and not shared yet, so it may still be completed.
    auto* fresh = const_cast<TensorImpl*>(outputs[i].impl().get());
    fresh->history = history;
    fresh->output = i;
  }
}

}  // namespace

History::~History() {
  // Long chains of history are taken down in a loop; destructors calling each other would overflow the stack.
  thread_local std::vector<std::shared_ptr<const TensorImpl>>* pending = nullptr;
  if (pending != nullptr) {
    for (auto& input : inputs) pending->push_back(std::move(input));
    return;
  }
  std::vector<std::shared_ptr<const TensorImpl>> list;
  pending = &list;
  for (auto& input : inputs) list.push_back(std::move(input));
  while (!list.empty()) {
    const std::shared_ptr<const TensorImpl> last = std::move(list.back());
    list.pop_back();
  }
  pending = nullptr;
}

NoGrad::NoGrad() : saved_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = saved_; }
bool grad_enabled() { return recording; }

std::pair<size_t, size_t> eager_node_counts() {
  return {device_launches.load(std::memory_order_relaxed), fallback_launches.load(std::memory_order_relaxed)};
}

Tensor to_dense(const Tensor& x) {
  if (is_dense(x.shape(), x.impl()->layout)) return x;
  const Tensor plain = make_tensor(x.impl()->bound());
  static const Attrs no_attrs(graph::op::copy.name, graph::op::copy.attrs, {});
  return compute(graph::op::copy, no_attrs, std::span(&plain, 1), {}, plain.impl()->storage->stream()).front();
}

std::vector<Tensor> eager_apply(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs, SourceLoc loc,
                                const StreamPtr& stream) {
  bool track = false;
  std::shared_ptr<const Origin> origin;
  for (const Tensor& x : inputs) {
    const TensorImpl& impl = *x.impl();
    track = track || impl.needs_grad();
    if (origin == nullptr) origin = impl.origin;
  }
  std::vector<Tensor> outputs;
  try {
    outputs = compute(op, attrs, inputs, loc, stream != nullptr ? stream : stream_of(op, inputs, loc));
  } catch (const host::Error& error) {
    std::vector<Type> types;
    for (const Tensor& x : inputs) types.push_back(x.type());
    backplane::fail(op.name, error.what(), types, loc);
  }
  if (origin != nullptr) {
    for (Tensor& out : outputs) const_cast<TensorImpl*>(out.impl().get())->origin = origin;
  }
  if (track && recording && op.gradient != graph::Gradient::blocked) record(op, attrs, inputs, outputs, loc);
  return outputs;
}

Tensor scalar_tensor(double value, DType dtype, const StreamPtr& stream) {
  struct Key {
    double value;
    DType dtype;
    const graph::Stream* stream;
    bool operator==(const Key& o) const {
      return std::memcmp(&value, &o.value, sizeof value) == 0 && dtype == o.dtype && stream == o.stream;
    }
  };
  struct Hash {
    size_t operator()(const Key& k) const {
      uint64_t bits;
      std::memcpy(&bits, &k.value, sizeof bits);
      return (bits ^ reinterpret_cast<uintptr_t>(k.stream) ^ static_cast<uint64_t>(k.dtype)) * 0x9e3779b97f4a7c15ull;
    }
  };
  static std::mutex mutex;
  static auto* const cache = new std::unordered_map<Key, Tensor, Hash>();
  const Key key{value, dtype, stream.get()};
  {
    const std::lock_guard lock(mutex);
    if (const auto found = cache->find(key); found != cache->end()) return found->second;
  }
  const AttrArg args[] = {{"value", value}, {"int_value", static_cast<int64_t>(is_real(dtype) ? 0 : value)}, {"dtype", dtype}};
  const Attrs attrs(graph::op::full.name, graph::op::full.attrs, args);
  const Tensor made = compute(graph::op::full, attrs, {}, {}, stream).front();
  const std::lock_guard lock(mutex);
  if (cache->size() >= kMaxScalars) cache->clear();
  return cache->emplace(key, made).first->second;
}

}  // namespace backplane
