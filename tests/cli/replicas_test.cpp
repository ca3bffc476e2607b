// SPDX-License-Identifier: Apache-2.0
// `backplane train --replicas`: several devices train together, the result says so, and what cannot be is refused.
#include <gmock/gmock.h>

#include "cli/process.h"

namespace backplane::tests {
namespace {

using ::testing::HasSubstr;

Result train(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"train",    "--data", "synthetic", "--model", "logistic",
                                        "--epochs", "2",      "--batch",   "50"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_backplane(arguments, {.environment = {{"BACKPLANE_PLUGIN_PATH", BACKPLANE_TOYS}}});
}

TEST(TrainReplicas, LearnAsOneDeviceDoes) {
  const auto alone = train({"--device", "reference", "--json"}).json();
  EXPECT_TRUE(alone["replicas"].is_null());
  for (const char* mode : {"eager", "compiled"}) {
    const Result run =
        train({"--replicas", "reference,toy_cpp,toy_c", "--reduction", "host", "--mode", mode, "--json"});
    ASSERT_EQ(run.code, 0) << run.err;
    const auto json = run.json();
    EXPECT_EQ(json["device"], "reference:0");
    EXPECT_EQ(json["replicas"]["devices"], (std::vector<std::string>{"reference:0", "toy_cpp:0", "toy_c:0"}));
    EXPECT_EQ(json["replicas"]["reduction"], "host");
    EXPECT_EQ(json["replicas"]["update"], "once");
    EXPECT_GT(json["nodes"]["device"], 0) << mode;
    for (const size_t epoch : {0u, 1u}) {
      const double wanted = alone["epochs"][epoch]["loss"];
      EXPECT_NEAR(json["epochs"][epoch]["loss"], wanted, 1e-4 * wanted) << mode;
    }
    EXPECT_EQ(json["test_accuracy"], alone["test_accuracy"]) << mode;
    EXPECT_THAT(run.err,
                HasSubstr("on reference:0, toy_cpp:0, toy_c:0; sums in the host's memory; reference:0 updates"));
  }
}

TEST(TrainReplicas, WhatCannotBeIsRefused) {
  struct Case {
    std::vector<std::string> options;
    int code;
    const char* text;
  };
  const Case cases[] = {
      {{"--replicas", "reference,toy_c"}, 2, "--reduction host"},
      {{"--replicas", "reference,reference", "--reduction", "host"}, 2, "named twice"},
      {{"--replicas", "reference,toy_c", "--reduction", "host", "--mode", "symbolic"}, 2, "not symbolic"},
      {{"--replicas", "reference,warp", "--reduction", "host"}, 3, "warp"},
      {{"--replicas", "reference", "--device", "toy_c"}, 2, "excludes"},
      {{"--reduction", "host"}, 2, "--replicas"},
      {{"--replicas", "reference", "--reduction", "mpi"}, 2, "mpi"},
  };
  for (const Case& each : cases) {
    const Result run = train(each.options);
    EXPECT_EQ(run.code, each.code) << run.err;
    EXPECT_THAT(run.err, HasSubstr(each.text));
  }
}

}  // namespace
}  // namespace backplane::tests
