// SPDX-License-Identifier: Apache-2.0
// Lowering: a legalised graph becomes launches over slots. A slot is a stretch of memory; a place is a tensor in it.
//
// Views cost nothing unless their strides cannot be expressed, then the operand is copied first. A launch that the device
// declines goes to the host fallback, with the plugin's reason.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/plan.h"
#include "plan/fit.h"

namespace backplane::graph {

struct Slot {
  enum class Kind : uint8_t { input, constant, arena, output };
  Kind kind = Kind::arena;
  uint32_t index = 0;    ///< input: position; output: position among the plan's output slots
  uint64_t bytes = 0;
  StoragePtr storage;    ///< constant
  uint32_t first_use = UINT32_MAX, last_use = 0;  ///< launch indices
  int32_t in_place_of = -1;  ///< slot that this one may take over
};

struct Place {
  uint32_t slot = 0;
  Type type;
  Layout layout;
};

struct Launch {
  std::shared_ptr<const host::Kernel> kernel;
  std::vector<Place> in, out;
  int32_t workspace_slot = -1;
  NodeId node = 0;           ///< of the lowered graph, for messages
  bool fallback = false;     ///< runs on the host
  const autotune::Decision* decision = nullptr;  ///< why it is this variant; null on the host
  KernelOp op;
  std::string how, reason;
};

struct Lowered {
  std::vector<Slot> slots;
  std::vector<Launch> launches;
  std::vector<Place> outputs;
  uint32_t num_output_slots = 0;
  StreamPtr fallback;  ///< set when a launch needs it
};

/// Gives the host fallback; asked only when a launch is declined. Null: there is none, and declining is an error.
using FallbackSource = std::function<StreamPtr()>;

Lowered lower(const Graph& graph, Stream& stream, const FallbackSource& fallback, std::span<const Layout> input_layouts);

/// "mul add maximum": the ops of a scalar program by name.
std::string describe(const ScalarProgram& program);

}  // namespace backplane::graph
