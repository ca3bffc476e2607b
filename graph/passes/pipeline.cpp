// SPDX-License-Identifier: Apache-2.0
// The visible list of passes, and what runs them. Lowering and memory planning follow it (graph/plan/).
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace backplane::graph {

namespace {

constexpr Pass kPipeline[] = {
    {"verify", "types, arity, order and outputs of the graph as it was given are right", false, passes::verify},
    {"expand_gradients", "deferred gradients become forward ops", false, passes::expand_gradients},
    {"prune", "what no output depends on is dropped", false, passes::prune},
    {"fold_constants", "small values that depend on constants only are computed once, on the reference device", true,
     passes::fold_constants},
    {"simplify", "algebra and view rules, a table in simplify_rules.h", true, passes::simplify},
    {"cse", "equal computations are done once", true, passes::cse},
    {"legalise", "composites that the device does not do natively are decomposed", false, passes::legalise},
    // Decompositions bring constants, views and common parts of their own.
    {"fold_constants", "the same, over what decompositions brought", true, passes::fold_constants},
    {"simplify", "the same, over what decompositions brought", true, passes::simplify},
    {"cse", "the same, over what decompositions brought", true, passes::cse},
    {"fuse_pointwise", "elementwise nodes become scalar programs", true, passes::fuse_pointwise},
    {"fuse_epilogue", "elementwise work behind a product, convolution or reduction becomes its epilogue", true,
     passes::fuse_epilogue},
};

std::mutex& sink_mutex() {
  static std::mutex mutex;
  return mutex;
}

PassSink& sink() {
  static PassSink current = [](std::string_view text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };
  return current;
}

void print(std::string_view text) {
  const std::lock_guard lock(sink_mutex());
  if (sink()) sink()(text);
}

std::string summary(std::string_view pass, size_t before, size_t after, double ms) {
  char text[160];
  std::snprintf(text, sizeof text, "%.*s: %zu -> %zu nodes, %.1f ms", static_cast<int>(pass.size()), pass.data(), before,
                after, ms);
  return text;
}

constexpr bool debug_build() {
#ifdef NDEBUG
  return false;
#else
  return true;
#endif
}

}  // namespace

std::span<const Pass> pipeline() { return kPipeline; }

PassSink set_pass_sink(PassSink next) {
  const std::lock_guard lock(sink_mutex());
  return std::exchange(sink(), std::move(next));
}

std::unique_ptr<Graph> run_pipeline(const Graph& graph, const PassContext& context, const DumpConfig& dump) {
  std::unique_ptr<Graph> owned;
  const bool careful = debug_build() || dump.any();
  for (const Pass& pass : kPipeline) {
    if (pass.optional && !context.config.enabled(pass.name)) continue;
    const Graph& before = owned != nullptr ? *owned : graph;
    const size_t nodes = before.size();
    const auto start = std::chrono::steady_clock::now();
    std::unique_ptr<Graph> after = pass.run(before, context);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (after != nullptr) {
      owned = std::move(after);
      if (careful) verify_graph(*owned, pass.name);
    }
    if (!dump.any()) continue;
    const Graph& now = owned != nullptr ? *owned : graph;
    print(summary(pass.name, nodes, now.size(), ms));
    if (dump.text_after(pass.name)) print("# after " + std::string(pass.name) + "\n" + to_text(now));
  }
  if (owned == nullptr) owned = passes::rewrite(graph, nullptr);
  return owned;
}

}  // namespace backplane::graph
