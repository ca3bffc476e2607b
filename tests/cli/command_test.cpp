// SPDX-License-Identifier: Apache-2.0
// devices, doctor, explain, env, version: exit codes and JSON as docs/cli.md says.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "cli/process.h"

namespace backplane::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// One message, no internals: what every failure looks like.
void expect_refusal(const Result& run, int code) {
  EXPECT_EQ(run.code, code) << run.err;
  EXPECT_EQ(run.signal, 0);
  EXPECT_NE(run.err, "");
  EXPECT_THAT(run.err, Not(HasSubstr("terminate called")));
  EXPECT_THAT(run.err, Not(HasSubstr("internal:")));
}

TEST(Usage, WrongOptionsAreUsageErrors) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"fly"},
                                             {"train", "--model", "gpt9"},
                                             {"train", "--epochs", "many"},
                                             {"train", "--batch", "0"},
                                             {"train", "--lr", "-1"},
                                             {"train", "--mode", "psychic"},
                                             {"train", "--no-such-option"},
                                             {"devices", "extra"}}) {
    expect_refusal(run_backplane(arguments), 2);
  }
  EXPECT_THAT(run_backplane({"train", "--model", "gpt9"}).err, HasSubstr("cnn"));
}

TEST(Usage, HelpSaysWhatThereIs) {
  const Result run = run_backplane({"--help"});
  EXPECT_EQ(run.code, 0);
  for (const char* word : {"train", "devices", "doctor", "explain", "env", "version", "Exit codes"})
    EXPECT_THAT(run.out, HasSubstr(word));
}

TEST(Version, IsPrinted) {
  EXPECT_THAT(run_backplane({"version"}).out, HasSubstr("plugin ABI 1.1"));
  EXPECT_EQ(run_backplane({"version", "--json"}).json()["abi"], "1.1");
}

TEST(Devices, AreListedWithWhatWasFound) {
  const Result run = run_backplane({"devices", "--json"});
  EXPECT_EQ(run.code, 0) << run.err;
  const auto json = run.json();
  EXPECT_EQ(json["schema"], 1);
  bool reference = false;
  for (const auto& each : json["devices"])
    reference = reference || (each["name"] == "reference:0" && each["reference"] == true);
  EXPECT_TRUE(reference) << run.out;
  EXPECT_FALSE(json["plugins"].empty());
  EXPECT_THAT(run_backplane({"devices"}).out, HasSubstr("reference:0"));
}

TEST(Devices, NoneAtAllIsSaidAndIsAnError) {
  const Result run = run_backplane({"devices"}, {.environment = {{"BACKPLANE_PLUGINS", "nothing-like-this"}}});
  expect_refusal(run, 3);
  EXPECT_THAT(run.err, HasSubstr("no usable device"));
  EXPECT_EQ(run_backplane({"devices", "--json"}, {.environment = {{"BACKPLANE_PLUGINS", "nothing-like-this"}}})
                .json()["devices"]
                .size(),
            0u);
}

TEST(Doctor, ChecksEveryDevice) {
  const Result run = run_backplane({"doctor", "--json"}, {.environment = {{"BACKPLANE_DEVICE", "reference"}}});
  const auto json = run.json();
  EXPECT_EQ(run.code, 0) << run.out;
  EXPECT_EQ(json["ok"], true);
  bool product = false;
  for (const auto& check : json["checks"]) {
    product = product || (check["check"] == "device reference:0" && check["verdict"] == "ok");
  }
  EXPECT_TRUE(product) << run.out;
}

TEST(Doctor, ABrokenPluginIsAFailureThatNamesItsFile) {
  const auto directory = std::filesystem::temp_directory_path() / ("backplane-doctor-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "libbackplane_broken.so") << "this is no library";
  const RunOptions options{.environment = {{"BACKPLANE_PLUGIN_PATH", directory.string()}}};
  const Result run = run_backplane({"doctor"}, options);
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("libbackplane_broken.so"));
  EXPECT_THAT(run.out, HasSubstr("not-elf"));
  EXPECT_EQ(run_backplane({"devices"}, options).code, 0) << "one broken plugin hides the others";
  std::filesystem::remove_all(directory);
}

TEST(Doctor, AMisspelledVariableIsAWarning) {
  const Result run =
      run_backplane({"doctor"}, {.environment = {{"BACKPLANE_DEVIEC", "cpu"}, {"BACKPLANE_DEVICE", "reference"}}});
  EXPECT_EQ(run.code, 0) << run.out;
  EXPECT_THAT(run.out, HasSubstr("BACKPLANE_DEVIEC"));
  EXPECT_THAT(run.out, HasSubstr("BACKPLANE_DEVICE"));
}

TEST(Doctor, ACacheThatCannotBeWrittenIsAFailure) {
  const Result run = run_backplane({"doctor"}, {.environment = {{"BACKPLANE_CACHE_DIR", "/proc/no-such-place"}}});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("/proc/no-such-place"));
}

TEST(Env, ShowsTheTableWithValues) {
  const auto json = run_backplane({"env", "--json"}, {.environment = {{"BACKPLANE_DEVICE", "reference"}}}).json();
  bool found = false;
  for (const auto& each : json["variables"]) {
    if (each["name"] != "BACKPLANE_DEVICE") continue;
    found = true;
    EXPECT_EQ(each["value"], "reference");
  }
  EXPECT_TRUE(found);
  EXPECT_THAT(run_backplane({"env"}).out, HasSubstr("BACKPLANE_PLUGIN_PATH"));
}

TEST(Explain, SaysForEachNodeWhereItRan) {
  const Result run =
      run_backplane({"explain", "--model", "logistic", "--batch", "8", "--device", "reference", "--json"});
  EXPECT_EQ(run.code, 0) << run.err;
  const auto json = run.json();
  EXPECT_EQ(json["device"], "reference:0");
  EXPECT_EQ(json["nodes"]["fallback"], 0);
  ASSERT_FALSE(json["rows"].empty());
  bool matmul = false;
  for (const auto& row : json["rows"]) {
    for (const char* key : {"node", "op", "type", "device", "how", "reason", "source"})
      EXPECT_TRUE(row.contains(key));
    matmul = matmul || std::string(row["op"]).find("matmul") != std::string::npos;
  }
  EXPECT_TRUE(matmul) << run.out;
  const Result table =
      run_backplane({"explain", "--model", "logistic", "--batch", "8", "--device", "reference", "--inference"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("launches on the device"));
}

TEST(Device, OneThatIsNotThereIsAnsweredWithWhatIs) {
  for (const char* selector : {"warp:0", "reference:9", "!reference,reference"}) {
    const Result run = run_backplane({"train", "--data", "synthetic", "--model", "logistic", "--device", selector});
    expect_refusal(run, 3);
    EXPECT_THAT(run.err, HasSubstr("reference")) << selector;
  }
  expect_refusal(run_backplane({"explain", "--device", "gpu:,,"}), 3);
  expect_refusal(run_backplane({"explain"}, {.environment = {{"BACKPLANE_DEVICE", "warp"}}}), 3);
}

}  // namespace
}  // namespace backplane::tests
