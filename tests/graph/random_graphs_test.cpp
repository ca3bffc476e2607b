// SPDX-License-Identifier: Apache-2.0
// Properties of every graph: the text form reads back as it was, and passes change no bit of any result.
#include <gtest/gtest.h>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "passes/passes.h"
#include "random_graph.h"

namespace backplane::graph {
namespace {

using test::difference;

constexpr uint64_t kGraphs = 100;
constexpr size_t kNodes = 150;

std::vector<std::string> optional_passes() {
  std::set<std::string> names;
  for (const Pass& pass : pipeline()) {
    if (pass.optional) names.emplace(pass.name);
  }
  return {names.begin(), names.end()};
}

TEST(RandomGraphs, AreGraphs) {
  std::set<const OpDef*> seen;
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const auto graph = test::random_graph(seed, kNodes);
    verify_graph(*graph, "random_graph");
    for (NodeId id = 0; id < graph->size(); ++id) seen.insert(graph->node(id).op);
  }
  std::printf("%zu of %zu ops occur\n", seen.size(), all_ops().size());
  EXPECT_GT(seen.size(), all_ops().size() / 2);
}

TEST(RandomGraphs, TextReadsBackAsItWas) {
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const auto graph = test::random_graph(seed, kNodes);
    const std::string text = to_text(*graph);
    const auto again = parse_graph(text);
    verify_graph(*again, "parse_graph");
    ASSERT_EQ(to_text(*again), text) << "seed " << seed;
  }
}

TEST(RandomGraphs, FusedProgramsReadBackToo) {
  const PassConfig all;
  const PassContext context{all, nullptr};
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const auto fused = passes::fuse_pointwise(*test::random_graph(seed, kNodes), context);
    if (fused == nullptr) continue;
    const std::string text = to_text(*fused);
    ASSERT_EQ(to_text(*parse_graph(text)), text) << "seed " << seed;
  }
}

/// Every configuration gives the bits that no optional pass gives.
void expect_equal(const std::vector<PassConfig>& configs, const std::vector<std::string>& names) {
  size_t compared = 0;
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const auto graph = test::random_graph(seed, kNodes);
    test::Random random(seed);
    const auto inputs = test::random_inputs(*graph, random, seed % 2 == 0);
    const auto plain = test::run(*graph, inputs, PassConfig::none());
    for (size_t c = 0; c < configs.size(); ++c) {
      const auto results = test::run(*graph, inputs, configs[c]);
      ASSERT_EQ(results.size(), plain.size());
      for (size_t i = 0; i < plain.size(); ++i, ++compared) {
        ASSERT_EQ(difference(plain[i], results[i]), "")
            << "seed " << seed << ", passes '" << names[c] << "', output " << i << "\n" << to_text(*graph);
      }
    }
  }
  std::printf("%zu results compared bit for bit\n", compared);
  EXPECT_GT(compared, kGraphs);
}

TEST(RandomGraphs, AllPassesChangeNoBit) { expect_equal({PassConfig()}, {"all"}); }

TEST(RandomGraphs, EachPassAloneChangesNoBit) {
  std::vector<PassConfig> configs;
  for (const std::string& pass : optional_passes()) configs.push_back(PassConfig::parse("none," + pass));
  expect_equal(configs, optional_passes());
}

TEST(RandomGraphs, EachPassMayBeOffAlone) {
  std::vector<PassConfig> configs;
  std::vector<std::string> names;
  for (const std::string& pass : optional_passes()) {
    names.push_back("-" + pass);
    configs.push_back(PassConfig::parse(names.back()));
  }
  expect_equal(configs, names);
}

TEST(RandomGraphs, EveryPassGivesAValidGraph) {
  const PassConfig all;
  const PassContext context{all, Stream::of(host::Registry::instance().reference())};
  size_t runs = 0;
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    auto graph = test::random_graph(seed, kNodes);
    for (const Pass& pass : pipeline()) {
      auto next = pass.run(*graph, context);
      ++runs;
      if (next == nullptr) continue;
      ASSERT_NO_THROW(verify_graph(*next, pass.name)) << "seed " << seed;
      graph = std::move(next);
    }
  }
  EXPECT_EQ(runs, kGraphs * pipeline().size());
}

}  // namespace
}  // namespace backplane::graph
