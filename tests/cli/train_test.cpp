// SPDX-License-Identifier: Apache-2.0
// `backplane train` on made-up data: it learns, resumes, is interrupted, and meets bad files and a full disk.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "cli/process.h"

namespace backplane::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class Train : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("backplane-train-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(directory_), std::filesystem::directory_iterator()));
  }
  /// A short training run on the reference device.
  static Result train(std::vector<std::string> more, const RunOptions& options = {}) {
    std::vector<std::string> arguments = {"train",    "--data",   "synthetic", "--model",
                                          "logistic", "--device", "reference"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_backplane(arguments, options);
  }
  std::filesystem::path directory_;
};

TEST_F(Train, EveryModeLearns) {
  for (const char* mode : {"eager", "symbolic", "compiled"}) {
    const Result run = train({"--mode", mode, "--epochs", "3", "--json"});
    ASSERT_EQ(run.code, 0) << mode << run.err;
    const auto json = run.json();
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["mode"], mode);
    EXPECT_EQ(json["epochs"].size(), 3u);
    EXPECT_LT(json["epochs"][2]["loss"], json["epochs"][0]["loss"]);
    EXPECT_GT(json["test_accuracy"], 0.9) << mode;
    EXPECT_GT(json["nodes"]["device"], 0) << mode;
    EXPECT_EQ(json["nodes"]["fallback"], 0) << mode;
    EXPECT_THAT(run.err, HasSubstr("test accuracy")) << "progress goes to stderr when stdout is for JSON";
  }
}

TEST_F(Train, PlainLinesSayWhatRanWhere) {
  const Result run = train({"--epochs", "1"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("epoch 1/1"));
  EXPECT_THAT(run.out, HasSubstr("test accuracy"));
  EXPECT_THAT(run.out, HasSubstr("reference:0 ran"));
  EXPECT_THAT(run.out, HasSubstr("nothing fell back"));
  EXPECT_THAT(run.out, Not(HasSubstr("\r")));
}

TEST_F(Train, ATerminalGetsABar) {
  const Result run =
      train({"--model", "mlp", "--epochs", "2"}, {.environment = {{"TERM", "xterm"}}, .terminal = true});
  ASSERT_EQ(run.code, 0) << run.out;
  EXPECT_THAT(run.out, HasSubstr("\r\033[Kepoch 1/2 ["));
  EXPECT_THAT(run.out, HasSubstr("images/s"));
  EXPECT_THAT(run.out, HasSubstr("ETA"));
}

TEST_F(Train, TheLastOfTwoEqualOptionsCounts) {
  EXPECT_EQ(train({"--epochs", "100000", "--epochs", "0", "--json"}).json()["epochs"].size(), 0u);
}

TEST_F(Train, TheSameSeedGivesTheSameWeights) {
  ASSERT_EQ(train({"--epochs", "1", "--limit", "512", "--seed", "4", "--save", path("a")}).code, 0);
  ASSERT_EQ(train({"--epochs", "1", "--limit", "512", "--seed", "4", "--save", path("b")}).code, 0);
  ASSERT_EQ(train({"--epochs", "1", "--limit", "512", "--seed", "5", "--save", path("c")}).code, 0);
  EXPECT_TRUE(content(path("a")) == content(path("b")));
  EXPECT_FALSE(content(path("a")) == content(path("c")));
}

TEST_F(Train, SavedWeightsTestTheSame) {
  const Result first = train({"--epochs", "2", "--save", path("w"), "--json"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.json()["saved"], path("w"));
  const Result again = train({"--epochs", "0", "--load", path("w"), "--json"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.json()["test_accuracy"], first.json()["test_accuracy"]);
}

TEST_F(Train, WritesATrace) {
  const Result run = train({"--epochs", "1", "--limit", "256", "--trace", path("trace.json")});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto trace = nlohmann::json::parse(content(path("trace.json")), nullptr, false);
  ASSERT_FALSE(trace.is_discarded());
  const auto& events = trace.is_array() ? trace : trace["traceEvents"];
  EXPECT_GT(events.size(), 10u);
}

TEST_F(Train, CtrlCEndsItInOrder) {
  const Result run = train({"--model", "mlp", "--epochs", "100000", "--save", path("w")},
                           {.interrupt_after = std::chrono::milliseconds(500)});
  EXPECT_EQ(run.signal, 0);
  EXPECT_EQ(run.code, 130) << run.err;
  EXPECT_EQ(train({"--model", "mlp", "--epochs", "0", "--load", path("w")}).code, 0)
      << "what was learned so far is saved";
}

TEST_F(Train, ADivergingLossIsAnError) {
  const Result run = train({"--epochs", "3", "--lr", "1e38"});
  EXPECT_EQ(run.code, 1) << run.out;
  EXPECT_THAT(run.err, HasSubstr("--lr"));
}

TEST_F(Train, WeightsOfAnotherModelAreRefused) {
  ASSERT_EQ(train({"--epochs", "0", "--save", path("w")}).code, 0);
  const Result run = train({"--model", "mlp", "--epochs", "1", "--load", path("w")});
  EXPECT_EQ(run.code, 4);
  EXPECT_THAT(run.err, HasSubstr("1.weight"));
  EXPECT_THAT(run.err, HasSubstr("f32[784,10]"));
}

TEST_F(Train, BadFilesAreNamed) {
  std::ofstream(path("w")) << "garbage";
  struct Case {
    std::vector<std::string> arguments;
    std::string word;
  };
  for (const Case& each :
       {Case{{"--load", path("w")}, path("w")}, Case{{"--load", path("absent")}, path("absent")},
        Case{{"--save", path("no/such/directory/w")}, path("no/such/directory")},
        Case{{"--save", "/dev/full"}, "/dev/full"}, Case{{"--trace", path("no/such/t")}, path("no/such")}}) {
    const Result run = train(each.arguments);
    EXPECT_EQ(run.code, 4) << run.err;
    EXPECT_THAT(run.err, HasSubstr(each.word));
  }
}

TEST_F(Train, MissingAndDamagedDataAreNamed) {
  const auto fashion = [&](const std::string& directory) {
    return run_backplane({"train", "--data", "fashion-mnist", "--data-dir", directory, "--device", "reference"});
  };
  const Result missing = fashion(path("nowhere"));
  EXPECT_EQ(missing.code, 4);
  EXPECT_THAT(missing.err, HasSubstr(path("nowhere")));
  for (const char* name :
       {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    std::ofstream(path(name)) << "\x00\x00\x08\x03 far too short";
  }
  const Result damaged = fashion(directory_.string());
  EXPECT_EQ(damaged.code, 4) << damaged.out;
  EXPECT_THAT(damaged.err, HasSubstr("ubyte"));
}

TEST_F(Train, AFullDiskLeavesTheOldFileAndNoHalfOne) {
  ASSERT_EQ(train({"--epochs", "0", "--save", path("w")}).code, 0);
  const std::string before = content(path("w"));
  ASSERT_EQ(files(), 1u);
  const RunOptions full{.environment = {{"LD_PRELOAD", BACKPLANE_FULL_DISK},
                                        {"FULL_DISK_AT", directory_.string()},
                                        {"ASAN_OPTIONS", "verify_asan_link_order=0"}}};
  const Result run = train({"--epochs", "1", "--limit", "256", "--save", path("w")}, full);
  EXPECT_EQ(run.code, 4) << run.err;
  EXPECT_THAT(run.err, HasSubstr("No space left on device"));
  EXPECT_TRUE(content(path("w")) == before);
  EXPECT_EQ(files(), 1u) << "a temporary file was left behind";
  const Result trace = train({"--epochs", "1", "--limit", "256", "--trace", path("t")}, full);
  EXPECT_NE(trace.code, 0);
  EXPECT_EQ(files(), 1u) << "half a trace was left behind";
}

}  // namespace
}  // namespace backplane::tests
