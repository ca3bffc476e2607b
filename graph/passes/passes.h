// SPDX-License-Identifier: Apache-2.0
// The passes, by name. Each is a function Graph -> Graph; the order in which they run is the table in pipeline.cpp.
//
// Rules all of them keep: the result is a new graph (or nullptr: nothing to change); graph inputs stay, all of them and
// in their order; outputs keep number, order and types; nodes keep the user's line; time is linear in the graph, up to a
// logarithm. With every optional pass off the results of a plan are the same, bit for bit on the reference device, but
// for rules that say otherwise in the table of simplify.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/plan.h"

namespace backplane::graph {

namespace passes {
std::unique_ptr<Graph> verify(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> expand_gradients(const Graph& graph, const PassContext& context);  // graph/src/
std::unique_ptr<Graph> prune(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> fold_constants(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> simplify(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> cse(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> legalise(const Graph& graph, const PassContext& context);  // graph/plan/
std::unique_ptr<Graph> fuse_pointwise(const Graph& graph, const PassContext& context);
std::unique_ptr<Graph> fuse_epilogue(const Graph& graph, const PassContext& context);
}  // namespace passes

/// Types, arity, order of ids, outputs. Throws `internal:` naming `after`, the pass whose result `graph` is.
void verify_graph(const Graph& graph, std::string_view after);

/// A node of tier scalar (or `copy`) as a program over its own operands, in their order.
ScalarProgram program_of(const Graph& graph, NodeId node);

/// Receives one line or block of text without a newline at its end.
using PassSink = std::function<void(std::string_view)>;
/// Where passes print what BACKPLANE_DUMP asks for; stderr unless changed. Returns the earlier one.
PassSink set_pass_sink(PassSink sink);

/// What to print: BACKPLANE_DUMP is a comma-separated list of `pass:<name>` or just `<name>` (text form after that pass)
/// and `all` (after every pass). Any of them also gives one summary line per pass: `cse: 412 -> 377 nodes, 0.4 ms`.
struct DumpConfig {
  bool all = false;
  std::set<std::string, std::less<>> after;
  bool any() const { return all || !after.empty(); }
  bool text_after(std::string_view pass) const { return all || after.contains(pass); }
  /// Throws Error on an unknown name.
  static DumpConfig parse(std::string_view text);
  static const DumpConfig& from_environment();
};

/// Runs the passes of `pipeline()` that `context.config` has not switched off. Verifies between passes in debug builds
/// and when something is dumped.
std::unique_ptr<Graph> run_pipeline(const Graph& graph, const PassContext& context,
                                    const DumpConfig& dump = DumpConfig::from_environment());

}  // namespace backplane::graph
