// SPDX-License-Identifier: Apache-2.0
// How long planning takes: all passes, the whole compilation and the memory planner, for 10,000 and 100,000 nodes. Prints
// milliseconds (the median of three) and how they grow; what is linear has a ratio near 10.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "passes/passes.h"
#include "plan/memory_planner.h"

namespace {

using namespace backplane;
using namespace backplane::graph;

/// A deep network with everything that passes look for: products, biases, activations, reductions, views, numbers to
/// fold, work done twice, residual connections that live long.
void build(Graph& graph, size_t nodes) {
  const auto input = [&](Input::Kind kind, const Shape& shape, const char* name) {
    return graph.sym(graph.add_input(kind, {f32, shape}, name));
  };
  Sym x = input(Input::Kind::placeholder, {16, 16}, "x");
  const Sym w = input(Input::Kind::variable, {16, 16}, "w"), b = input(Input::Kind::variable, {16}, "b");
  const std::vector<int64_t> rows = {1};
  Sym far = x;
  for (size_t layer = 0; graph.size() < nodes; ++layer) {
    const Sym h = matmul(x, layer % 2 == 0 ? w : transpose(w)) * 1.0 + b;
    const Sym gate = tanh(h * (scalar(graph, 0.25, f32) + scalar(graph, 0.25, f32))) + 1.0;
    const Sym again = tanh(h * (scalar(graph, 0.25, f32) + scalar(graph, 0.25, f32))) + 1.0;
    const Sym sum = reduce_sum(h * gate, rows);
    x = maximum(h * again - sum * 0.01, scalar(graph, 0, f32)) * static_cast<double>(layer % 97);
    if (layer % 64 == 0) {
      x = x + far;
      far = x;
    }
  }
  graph.set_outputs({graph.value(x)});
}

double milliseconds(const std::function<void()>& work) {
  double times[3];
  for (double& t : times) {
    const auto start = std::chrono::steady_clock::now();
    work();
    t = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(std::begin(times), std::end(times));
  return times[1];
}

struct Row {
  const char* what;
  std::function<double(size_t)> time;
};

std::vector<BufferRequest> requests(size_t n) {
  std::mt19937_64 random(1);
  std::vector<BufferRequest> list;
  for (size_t i = 0; i < n; ++i) {
    BufferRequest r;
    r.first_use = static_cast<uint32_t>(i);
    r.last_use = random() % 8 == 0 ? static_cast<uint32_t>(2 * n - i) : static_cast<uint32_t>(i + random() % 4);
    r.bytes = 64 * (1 + random() % 4096);
    r.alignment = 64;
    list.push_back(r);
  }
  return list;
}

}  // namespace

int main() {
  const auto stream = Stream::of(host::Registry::instance().reference());
  const PassConfig all;
  const DumpConfig quiet;
  size_t left = 0;
  const Row rows[] = {
      {"all passes", [&](size_t n) {
         Graph graph;
         build(graph, n);
         return milliseconds([&] { left = run_pipeline(graph, {all, stream}, quiet)->size(); });
       }},
      {"compile a plan", [&](size_t n) {
         Graph graph;
         build(graph, n);
         CompileOptions options;
         options.stream = stream;
         options.passes = all;
         return milliseconds([&] { Plan::compile(graph, options); });
       }},
      {"plan memory", [](size_t n) {
         const auto list = requests(n);
         return milliseconds([&] { plan_memory(list); });
       }},
  };
  std::printf("%-16s %12s %12s %8s\n", "milliseconds", "10,000", "100,000", "ratio");
  for (const Row& row : rows) {
    const double small = row.time(10'000), large = row.time(100'000);
    std::printf("%-16s %12.1f %12.1f %8.1f\n", row.what, small, large, large / small);
  }
  std::printf("100,000 nodes become %zu\n", left);
  // Where the time goes.
  set_pass_sink([](std::string_view line) {
    if (line.find('\n') == line.npos) std::printf("  %.*s\n", static_cast<int>(line.size()), line.data());
  });
  Graph graph;
  build(graph, 100'000);
  DumpConfig summaries;
  summaries.after.insert("(none)");
  run_pipeline(graph, {all, stream}, summaries);
  return 0;
}
