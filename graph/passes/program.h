// SPDX-License-Identifier: Apache-2.0
// Scalar programs from graph nodes: what fuse_pointwise writes.
#pragma once

#include <span>
#include <vector>

#include "backplane/graph/graph.h"

namespace backplane::graph::passes {

/// One instruction per element over broadcast operands, or a copy: may be part of a program.
bool is_scalar_step(const Graph& graph, NodeId id);

/// A fused group: the program, the values it reads and the ones it gives.
struct FusedGroup {
  ScalarProgram program;
  std::vector<Value> inputs;    ///< program inputs, in their order
  std::vector<NodeId> outputs;  ///< nodes of the group that are used outside
  std::vector<uint32_t> output_index;  ///< which output of the program each of `outputs` is (copies share one)
};

/// `members` in topological order; `used_outside[i]` says whether member i is needed by others. Operands that are known
/// numbers become constants of the program.
FusedGroup fuse(const Graph& graph, std::span<const NodeId> members, const std::vector<bool>& used_outside);

/// The ABI operation, as it would be with dense operands.
KernelOp kernel_of(const Graph& graph, const FusedGroup& group);

}  // namespace backplane::graph::passes
