// SPDX-License-Identifier: Apache-2.0
// From a graph to something that runs: the visible list of passes, and the plan they end in.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/runtime.h"

namespace backplane::graph {

/// Which optional passes run, from BACKPLANE_PASSES ("-cse,-fuse_pointwise", "none", "all").
struct PassConfig {
  std::set<std::string, std::less<>> disabled;
  bool enabled(std::string_view pass) const { return !disabled.contains(pass); }
  /// Throws Error on an unknown name.
  static PassConfig parse(std::string_view text);
  static const PassConfig& from_environment();
  static PassConfig none();  ///< every optional pass off
};

/// A composite that the device does not do natively.
struct Decomposition {
  const OpDef* op = nullptr;
  Type type;
  SourceLoc loc;
  std::string reason;  ///< the plugin's own; empty when no catalogue operation exists for it
};

/// What a pass is given besides the graph.
struct PassContext {
  const PassConfig& config;
  StreamPtr stream;                               ///< the device that the graph is for
  std::span<const Layout> input_layouts = {};     ///< one per graph input; dense where empty
  std::vector<Decomposition>* decompositions = nullptr;  ///< where legalise notes what it did
};

/// One entry of the visible list.
struct Pass {
  std::string_view name;
  std::string_view doc;
  bool optional;
  std::unique_ptr<Graph> (*run)(const Graph& graph, const PassContext& context);
};
/// In the order in which they run.
std::span<const Pass> pipeline();

enum class Fallback { allow, error };

struct CompileOptions {
  StreamPtr stream;                                    ///< where to run
  PassConfig passes = PassConfig::from_environment();
  Fallback fallback = Fallback::allow;                 ///< BACKPLANE_FALLBACK
  bool capture = true;                                 ///< BACKPLANE_CAPTURE: record and replay where the device can
};

/// A dense or strided tensor in device memory, as plans take and give them.
struct Bound {
  StoragePtr storage;
  Type type;
  Layout layout;
};

/// What became of one node of the user's graph.
struct Explanation {
  std::string node, op, type, device, how, reason, source;
  std::string variant;  ///< the kernel's
  std::string level;    ///< on what its choice rests: "pinned", "exact", "nearest", "default"; empty on the host
  std::string why;      ///< of that
};

struct PlanStats {
  size_t nodes = 0;          ///< launches on the device
  size_t fallback_nodes = 0; ///< launches on the host fallback
  uint64_t arena_bytes = 0;
  uint64_t arena_lower_bound = 0;
  uint64_t fallback_bytes = 0;  ///< copied between device and host per run
  uint64_t runs = 0;
  uint64_t replays = 0;         ///< runs that were one submission of what was recorded before
};

class Plan {
 public:
  /// `input_layouts`: one per graph input, dense where empty.
  static std::shared_ptr<Plan> compile(const Graph& graph, const CompileOptions& options,
                                       std::span<const Layout> input_layouts = {});
  virtual ~Plan() = default;
  /// Puts one execution into the stream's queue. `inputs` are in the order of Graph::inputs(), with the types and layouts
  /// the plan was compiled for. Outputs are dense. Throws Error naming op, line and device.
  virtual std::vector<Bound> run(std::span<const Bound> inputs) = 0;
  virtual const PlanStats& stats() const = 0;
  virtual std::vector<Explanation> explain() const = 0;
  /// What is put before the device, launch by launch, under the stream's policy; nothing of the host fallback.
  virtual std::vector<KernelOp> operations() const = 0;
};

/// Compiles, uploads, runs, downloads: for tests and constant folding. Inputs in the order of graph.inputs().
std::vector<Literal> evaluate(const Graph& graph, std::span<const Literal> inputs, const CompileOptions& options);

}  // namespace backplane::graph
