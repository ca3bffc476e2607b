// SPDX-License-Identifier: Apache-2.0
#include "backplane/random.h"

#include <array>
#include <mutex>

#include "backplane/graph/ops.h"
#include "backplane/host_random.h"
#include "graph_context.h"
#include "thread_defaults.h"

namespace backplane {

namespace {

constexpr uint64_t kDefaultSeed = 0x5eed;

Tensor key_tensor(uint64_t seed) {
  const std::array<int32_t, 4> words = {static_cast<int32_t>(seed & 0xffffffffu), static_cast<int32_t>(seed >> 32), 0, 0};
  return Tensor::from(std::span<const int32_t>(words), {4});
}

/// Seed and offset of the default generator, i32[4].
Variable& state() {
  if (Variable* own = ThreadDefaults::random_key()) return *own;
  static auto* const variable = new Variable(key_tensor(kDefaultSeed), "random.key", false);
  return *variable;
}

/// An op without tensor operands but the key: the key decides the mode.
Tensor draw(const graph::OpDef& op, const Shape& shape) {
  return apply1(op, {{"shape", shape.vector()}}, {In(next_random_key())}, Here(SourceLoc{}));
}

}  // namespace

void manual_seed(uint64_t seed) {
  if (GraphContext::current() != nullptr) {
    throw Error("[manual_seed] a seed cannot be set inside a graph\n  set it before, or assign a key to a variable of your own");
  }
  const Tensor key = key_tensor(seed);
  state().assign(key.to(default_device()));
  seed_host_random(seed);
}

Tensor next_random_key() {
  static const std::array<int32_t, 4> kStep = {0, 0, 1, 0};
  const Tensor key = state().read(Here(SourceLoc{}));
  const Tensor step = Tensor::from(std::span<const int32_t>(kStep), {4}, key.is_symbolic() ? default_device() : key.device());
  const Tensor next = key + step;
  if (GraphContext* context = GraphContext::current()) {
    context->write(state().cell(), next, {});
    return key;
  }
  state().assign(next);
  // What is drawn eagerly is data, not a value of a variable: it may enter a graph as a constant.
  auto plain = std::make_shared<TensorImpl>(*key.impl());
  plain->origin = nullptr;
  return Tensor(std::move(plain));
}

Tensor random_uniform(const Shape& shape, double low, double high, DType dtype) {
  const Tensor unit = draw(graph::op::random_uniform, shape);
  const Tensor scaled = low == 0 && high == 1 ? unit : unit * (high - low) + low;
  return scaled.dtype() == dtype ? scaled : cast(scaled, dtype);
}

Tensor random_normal(const Shape& shape, double mean, double deviation, DType dtype) {
  const Tensor unit = draw(graph::op::random_normal, shape);
  const Tensor scaled = mean == 0 && deviation == 1 ? unit : unit * deviation + mean;
  return scaled.dtype() == dtype ? scaled : cast(scaled, dtype);
}

Tensor dropout(const In& x, double rate) {
  if (rate == 0) return x.tensor;
  return apply1(graph::op::dropout, {{"rate", rate}}, {x, In(next_random_key())}, x.here);
}

}  // namespace backplane
