// SPDX-License-Identifier: Apache-2.0
// `backplane tune` from the outside: measured once, kept, shown, moved, verified, interrupted; the device's time is
// declared (tests/plugins/virtual_clock), so what wins is known.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/process.h"

namespace backplane::tests {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Tune : public ::testing::Test {
 protected:
  Tune() {
    fs::create_directories(folder);
    fs::remove_all(folder / "cache");
  }
  ~Tune() override { fs::remove_all(folder); }
  Result run(std::vector<std::string> arguments, RunOptions options = {}) {
    options.environment.insert({"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK});
    options.environment.insert({"BACKPLANE_CACHE_DIR", (folder / "cache").string()});
    options.environment.insert({"BACKPLANE_DEVICE", "virtual_clock:0"});
    return run_backplane(arguments, options);
  }
  Result tune(const std::string& shape, std::vector<std::string> more = {}) {
    // More time than it needs: what a device's clock does not say is real, and much else may run on this machine.
    std::vector<std::string> arguments = {"tune", "--ops",  "batch_matmul", "--shapes",
                                          shape,  "--json", "--budget-ms",  "20000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  nlohmann::json explain(const std::string& shape, RunOptions options = {}) {
    const Result result = run({"tune", "explain", "batch_matmul", shape, "--json"}, options);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.json()["rows"].at(0);
  }
  fs::path database() const { return folder / "cache" / "tuning.sqlite"; }
  const fs::path folder = fs::temp_directory_path() / ("backplane-tune-" + std::to_string(getpid()));
  const std::string shape = "8x16,16x8";  // the work is really done, so it is little
};

TEST_F(Tune, NothingToDoIsAUsageError) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"tune"},
                                             {"tune", "--ops", "matmul"},
                                             {"tune", "--ops", "matmull", "--shapes", "2x2,2x2"},
                                             {"tune", "--ops", "matmul", "--shapes", "2x2,two"},
                                             {"tune", "--ops", "matmul", "--shapes", "2x2,3x3"},
                                             {"tune", "--ops", "matmul", "--shapes", "2x2,2x2;speed=9"},
                                             {"tune", "explain", "matmul"},
                                             {"tune", "dance"}}) {
    const Result result = run(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err, "");
  }
  EXPECT_THAT(run({"tune", "--ops", "matmull", "--shapes", "2x2"}).err, HasSubstr("did you mean matmul"));
  EXPECT_FALSE(fs::exists(database()));
}

TEST_F(Tune, MeasuresOnceAndIsUsedFromThenOn) {
  EXPECT_EQ(explain(shape)["level"], "default");
  const auto first = tune(shape).json();
  EXPECT_EQ(first["measured"], 1);
  EXPECT_EQ(first["decided"], 1);
  const std::string chosen = first["rows"][0]["chosen"];
  const auto again = tune(shape).json();
  EXPECT_EQ(again["measured"], 0);
  EXPECT_EQ(again["left_out"].value("decided before", 0), 1) << again;
  EXPECT_EQ(tune(shape, {"--again"}).json()["measured"], 1);
  for (const char* mode : {"cached", "locked", "on"}) {
    const auto row = explain(shape, {.environment = {{"BACKPLANE_TUNE", mode}}});
    EXPECT_EQ(row["level"], "exact") << mode;
    EXPECT_EQ(row["variant"], chosen) << mode;
  }
  EXPECT_EQ(explain(shape, {.environment = {{"BACKPLANE_TUNE", "off"}}})["level"], "default");
  EXPECT_NE(explain(shape, {.environment = {{"BACKPLANE_MATH", "fast"}}})["level"], "exact");
  EXPECT_NE(explain(shape, {.environment = {{"BACKPLANE_DETERMINISTIC", "1"}}})["level"], "exact");
  const auto pinned = explain(shape, {.environment = {{"BACKPLANE_VARIANT", "matmul=order*"}}});
  EXPECT_EQ(pinned["level"], "pinned");
}

TEST_F(Tune, ShowsEveryVariantWithItsVerdict) {
  tune(shape);
  const auto json = run({"tune", "show", "--json"}).json();
  ASSERT_EQ(json["records"].size(), 1u);
  EXPECT_GE(json["records"][0]["candidates"].size(), 2u);
  const Result text = run({"tune", "show", "matmul"});
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* word : {"CODE", "VERDICT", "(default)", "raced", "checked by reference:0"})
    EXPECT_THAT(text.out, HasSubstr(word));
  EXPECT_THAT(run({"tune", "show", "softmax"}).out, HasSubstr("0 problems"));
  EXPECT_THAT(run({"tune", "explain", "batch_matmul", shape}).out, HasSubstr("(exact)"));
}

TEST_F(Tune, ARebuiltPluginGoesOnWithWhatItsVariantsHave) {
  tune(shape);
  const RunOptions rebuilt{.environment = {{"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK "_2"}}};
  EXPECT_EQ(explain(shape, rebuilt)["level"], "exact");
  const auto verified = run({"tune", "verify", "--json"}, rebuilt).json();
  EXPECT_EQ(verified["verified"], 1);
  const auto again = run({"tune", "--ops", "batch_matmul", "--shapes", shape, "--json"}, rebuilt).json();
  EXPECT_EQ(again["measured"], 0);
  EXPECT_EQ(again["left_out"].value("decided before", 0), 1) << again;
}

TEST_F(Tune, MovesToAnotherMachineAsAFile) {
  tune(shape);
  const std::string file = (folder / "tuned.json").string();
  EXPECT_EQ(run({"tune", "export", file}).code, 0);
  EXPECT_THAT(run({"tune", "clear"}).out, HasSubstr("1 problems removed"));
  EXPECT_EQ(explain(shape)["level"], "default");
  EXPECT_EQ(run({"tune", "import", file}).code, 0);
  EXPECT_EQ(explain(shape)["level"], "exact");
  std::ofstream(file) << "{\"schema\": 1, \"records\": [{\"problem\": 7}]}";
  const Result bad = run({"tune", "import", file});
  EXPECT_EQ(bad.code, 4);
  EXPECT_THAT(bad.err, HasSubstr("record 0"));
  EXPECT_EQ(run({"tune", "import", (folder / "none.json").string()}).code, 4);
}

TEST_F(Tune, VerifiesItsDecisions) {
  tune("8x16,16x8");
  tune("12x16,16x8");
  const Result result = run({"tune", "verify", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto json = result.json();
  EXPECT_EQ(json["verified"], 2);
  EXPECT_EQ(json["troubled"], 0);
  EXPECT_LT(json["median_regret"], 0.08);
  EXPECT_THAT(run({"tune", "verify", "--sample", "1"}).out, HasSubstr("1 decisions measured again"));
}

TEST_F(Tune, AnInterruptedRunGoesOnWhereItStopped) {
  std::vector<std::string> arguments = {"tune", "--ops", "batch_matmul", "--json", "--shapes"};
  constexpr size_t kShapes = 200;
  for (size_t i = 1; i <= kShapes; ++i) arguments.push_back(std::to_string(8 + i) + "x16,16x8");
  const Result stopped = run(arguments, {.interrupt_after = std::chrono::milliseconds(300)});
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  const auto first = stopped.json();
  EXPECT_EQ(first["interrupted"], true);
  const size_t decided = first["decided"];
  EXPECT_LT(decided, kShapes);
  const Result more = run(arguments, {.interrupt_after = std::chrono::milliseconds(300)});
  EXPECT_GE(more.json()["left_out"].value("decided before", size_t{0}), decided);
}

TEST_F(Tune, ADamagedDatabaseIsSetAsideAndWorkGoesOn) {
  tune(shape);
  std::ofstream(database(), std::ios::binary) << "this is no database, but it was in its place";
  const Result result = tune(shape);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("set-aside"));
  EXPECT_EQ(result.json()["measured"], 1);
  EXPECT_EQ(explain(shape)["level"], "exact");
}

TEST_F(Tune, ARecordedProgramIsTunedByWeight) {
  const std::string recording = (folder / "shapes.jsonl").string();
  const std::vector<std::string> train = {"train",    "--data", "synthetic", "--model", "logistic",
                                          "--epochs", "1",      "--limit",   "256"};
  const Result recorded = run(train, {.environment = {{"BACKPLANE_TUNE_RECORD", recording}}});
  ASSERT_EQ(recorded.code, 0) << recorded.err;
  std::ofstream(recording, std::ios::app) << "{\"op\": \"torn";
  // The device's work is real, if not its time: a busy machine needs more than the usual budget for all of them.
  const Result result = run({"tune", "--from", recording, "--budget-ms", "3000", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 damaged lines"));
  const auto json = result.json();
  EXPECT_GE(json["measured"], 1);
  for (const auto& row : json["rows"]) EXPECT_GT(row["calls"], 0);
  EXPECT_GT(json["recorded_ns"]["default"], 0);
  EXPECT_LE(json["recorded_ns"]["chosen"], json["recorded_ns"]["default"]);
  const Result again = run(train, {.environment = {{"BACKPLANE_TUNE", "locked"}}});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(run({"tune", "--from", (folder / "none").string()}).code, 1);
}

TEST_F(Tune, NonsenseInTheEnvironmentIsSaid) {
  const Result result =
      run({"tune", "explain", "batch_matmul", shape}, {.environment = {{"BACKPLANE_TUNE", "perhaps"}}});
  EXPECT_NE(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("BACKPLANE_TUNE='perhaps'"));
}

}  // namespace
}  // namespace backplane::tests
