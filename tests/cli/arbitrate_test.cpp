// SPDX-License-Identifier: Apache-2.0
// `backplane tune --arbitrate` from the outside: two plugins of one processor are raced, and `auto` goes by the result.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "backplane/autotune/store.h"
#include "cli/process.h"

namespace backplane::tests {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Arbitrate : public ::testing::Test {
 protected:
  Arbitrate() { fs::create_directories(folder); }
  ~Arbitrate() override { fs::remove_all(folder); }
  Result run(std::vector<std::string> arguments, RunOptions options = {}) {
    options.environment.insert({"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK});
    options.environment.insert({"BACKPLANE_PLUGINS", "cpu,virtual_clock,reference"});
    options.environment.insert({"BACKPLANE_CACHE_DIR", folder.string()});
    return run_backplane(arguments, options);
  }
  Result arbitrate() {
    return run({"tune", "--arbitrate", "--ops", "matmul", "--shapes", "24x16,16x8", "--json", "--budget-ms", "20000"});
  }
  std::string default_device(RunOptions options = {}) {
    const auto doctor = run({"doctor", "--json"}, options).json();
    for (const auto& check : doctor["checks"]) {
      if (check["check"] == "default device") return check["text"];
    }
    return {};
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-arbitrate-" + std::to_string(getpid()));
};

TEST_F(Arbitrate, RacesBothPluginsAndKeepsWhatItFound) {
  const Result result = arbitrate();
  ASSERT_EQ(result.code, 0) << result.err;
  const auto rows = result.json()["arbitration"];
  ASSERT_EQ(rows.size(), 2u);
  for (const auto& row : rows) {
    EXPECT_EQ(row["machine"], "host processor");
    EXPECT_GT(row["run_ns"], 0);
    EXPECT_GT(row["move_ns"], 0);
  }
  EXPECT_THAT(result.json()["auto"]["why"].get<std::string>(), HasSubstr("1 operations"));
  EXPECT_EQ(run({"tune", "show", "--arbitration", "--json"}).json()["arbitration"].size(), 2u);
  EXPECT_EQ(run({"tune", "show", "softmax", "--arbitration", "--json"}).json()["arbitration"].size(), 0u);
  run({"tune", "clear"});
  EXPECT_EQ(run({"tune", "show", "--arbitration", "--json"}).json()["arbitration"].size(), 0u);
}

TEST_F(Arbitrate, AutoTakesTheFastestAndDevicesSaysWhy) {
  EXPECT_FALSE(run({"devices", "--json"}).json().contains("auto")) << "nothing is measured";
  EXPECT_EQ(default_device(), "cpu:0");
  ASSERT_EQ(arbitrate().code, 0);
  {
    autotune::Store store(folder / autotune::Store::kFileName);
    std::vector<autotune::Placement> rows = store.placements();
    for (autotune::Placement& row : rows) {
      if (row.device.device.starts_with("virtual_clock")) row.run_ns = 0.1, row.move_ns = 0.1;
    }
    ASSERT_TRUE(store.put(rows));
  }
  const auto preferred = run({"devices", "--json"}).json()["auto"];
  EXPECT_EQ(preferred["device"], "virtual_clock:0");
  EXPECT_EQ(default_device(), "virtual_clock:0");
  EXPECT_EQ(default_device({.environment = {{"BACKPLANE_DEVICE", "auto"}}}), "virtual_clock:0");
  EXPECT_EQ(default_device({.environment = {{"BACKPLANE_DEVICE", "cpu"}}}), "cpu:0") << "who asks for one gets it";
  EXPECT_EQ(default_device({.environment = {{"BACKPLANE_TUNE", "off"}}}), "cpu:0");
  EXPECT_THAT(run({"devices"}).out, HasSubstr("auto takes virtual_clock:0"));
}

TEST_F(Arbitrate, OnePluginAloneIsSaid) {
  const Result result = run({"tune", "--arbitrate", "--ops", "matmul", "--shapes", "24x16,16x8"},
                            {.environment = {{"BACKPLANE_PLUGINS", "cpu,reference"}}});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("one plugin only"));
  EXPECT_EQ(run({"tune", "--arbitrate"}).code, 2);
}

}  // namespace
}  // namespace backplane::tests
