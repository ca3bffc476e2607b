// SPDX-License-Identifier: Apache-2.0
// What is behind a Tensor, and how it came about.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/functions.h"
#include "backplane/graph/graph.h"
#include "backplane/graph/runtime.h"
#include "backplane/tensor.h"

namespace backplane {

class GraphContext;
struct History;

/// Where gradients of a leaf are gathered.
struct Leaf {
  Tensor grad;
};

/// A value that was computed from a variable: entering a graph, it would be frozen there.
struct Origin {
  std::string variable;
  SourceLoc loc;
};

struct TensorImpl {
  Type type;
  // Computed: a strided tensor in device memory.
  graph::StoragePtr storage;
  Layout layout;
  // Recorded history, when a gradient can be asked for.
  std::shared_ptr<History> history;
  uint32_t output = 0;  ///< which output of that op
  std::shared_ptr<Leaf> leaf;
  std::shared_ptr<const Origin> origin;
  // Symbolic: a value of a graph being built.
  std::shared_ptr<GraphContext> context;
  graph::Value value;

  bool needs_grad() const { return history != nullptr || leaf != nullptr; }
  graph::Bound bound() const;
};

/// One eager application of an op. Inputs and outputs keep only the data that the op's VJP reads (OpDef::saves); what a
/// dropped one was computed from is still known.
struct History {
  const graph::OpDef* op = nullptr;
  graph::Attrs attrs;
  std::vector<std::shared_ptr<const TensorImpl>> inputs;
  std::vector<TensorImpl> outputs;  ///< without history: that would be a cycle
  uint64_t sequence = 0;            ///< order of creation, which is topological
  SourceLoc loc;
  ~History();
};

Tensor make_tensor(const graph::Bound& bound);
/// The same value with dense strides; itself when it has them.
Tensor to_dense(const Tensor& x);
/// Throws when `x` is undefined or symbolic: its value is not known.
const TensorImpl& computed(const Tensor& x, const char* what, SourceLoc loc);
bool grad_enabled();

/// Runs `op` now; records history when that is on.
std::vector<Tensor> eager_apply(const graph::OpDef& op, const graph::Attrs& attrs, std::span<const Tensor> inputs,
                                SourceLoc loc, const graph::StreamPtr& stream = nullptr);
/// A number as a rank-0 tensor, cached.
Tensor scalar_tensor(double value, DType dtype, const graph::StreamPtr& stream);
/// gradients() over recorded history; `xs` empty: all leaves reached, returned in `leaves`.
std::vector<Tensor> eager_gradients(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> dys,
                                    SourceLoc loc, std::vector<std::shared_ptr<Leaf>>* leaves);

}  // namespace backplane
