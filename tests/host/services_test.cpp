// SPDX-License-Identifier: Apache-2.0
// The services a plugin gets: every pointer it may pass, settings, blobs, log lines.
#include "services.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "backplane/host/log.h"
#include "fixture.h"

namespace backplane::host::test {
namespace {

using ::testing::HasSubstr;

class ServicesTest : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    services = std::make_unique<Services>("toy", root / "cache");
    host = services->table();
  }
  std::string config(const char* key, bp_status expected = BP_OK) {
    char value[64] = "?";
    std::uint64_t length = 0;
    EXPECT_EQ(host->config(host->context, key, value, sizeof value, &length), expected) << key;
    return value;
  }
  std::unique_ptr<Services> services;
  const bp_host* host = nullptr;
};

TEST_F(ServicesTest, TheTableIsComplete) {
  EXPECT_EQ(host->size, sizeof(bp_host));
  EXPECT_EQ(host->abi_version, BP_ABI_VERSION);
}

TEST_F(ServicesTest, SettingsComeFromTheEnvironment) {
  ::setenv("BACKPLANE_NUM_THREADS", "3", 1);
  ::setenv("BACKPLANE_TOY_MEMORY_CAP_MB", "512", 1);
  EXPECT_EQ(config("num_threads"), "3");
  EXPECT_EQ(config("toy.memory_cap_mb"), "512");
  EXPECT_EQ(config("toy.memory-cap.mb"), "512");
  config("toy.nothing", BP_E_NOT_FOUND);
  config("", BP_E_INVALID_ARGUMENT);
  config("a b", BP_E_INVALID_ARGUMENT);
  config("a=b", BP_E_INVALID_ARGUMENT);
  config(std::string(1000, 'a').c_str(), BP_E_INVALID_ARGUMENT);
  std::uint64_t length = 0;
  char small[2];
  EXPECT_EQ(host->config(host->context, "toy.memory_cap_mb", small, sizeof small, &length), BP_INCOMPLETE);
  EXPECT_EQ(length, 3u);
  EXPECT_EQ(host->config(host->context, "toy.memory_cap_mb", nullptr, 0, &length), BP_INCOMPLETE);
  EXPECT_EQ(host->config(host->context, nullptr, nullptr, 0, &length), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(host->config(host->context, "num_threads", nullptr, 9, &length), BP_E_INVALID_ARGUMENT);
  ::unsetenv("BACKPLANE_NUM_THREADS");
  ::unsetenv("BACKPLANE_TOY_MEMORY_CAP_MB");
}

TEST_F(ServicesTest, BlobsLastAndBelongToTheirPlugin) {
  const std::string blob("\0binary\n", 8);
  char out[16];
  std::uint64_t length = 0;
  EXPECT_EQ(host->cache_get(host->context, "k", out, sizeof out, &length), BP_E_NOT_FOUND);
  EXPECT_EQ(host->cache_put(host->context, "k", blob.data(), blob.size()), BP_OK);
  EXPECT_EQ(host->cache_get(host->context, "k", out, sizeof out, &length), BP_OK);
  EXPECT_EQ(std::string(out, length), blob);
  EXPECT_EQ(host->cache_get(host->context, "k", out, 3, &length), BP_INCOMPLETE);
  EXPECT_EQ(length, blob.size());
  EXPECT_EQ(host->cache_put(host->context, "empty", nullptr, 0), BP_OK);
  EXPECT_EQ(host->cache_get(host->context, "empty", nullptr, 0, &length), BP_OK);
  EXPECT_EQ(length, 0u);
  EXPECT_EQ(host->cache_put(host->context, nullptr, out, 1), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(host->cache_put(host->context, "k", nullptr, 1), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(host->cache_get(host->context, std::string(256, 'k').c_str(), out, 1, &length), BP_E_INVALID_ARGUMENT);
  Services other("other", root / "cache");
  EXPECT_EQ(other.table()->cache_get(other.table()->context, "k", out, sizeof out, &length), BP_E_NOT_FOUND);
  Services again("toy", root / "cache");
  EXPECT_EQ(again.table()->cache_get(again.table()->context, "k", out, sizeof out, &length), BP_OK);
  Services nowhere("toy", {});
  EXPECT_EQ(nowhere.table()->cache_put(nowhere.table()->context, "k", out, 1), BP_E_UNAVAILABLE);
}

TEST_F(ServicesTest, DamagedBlobsAreMisses) {
  const BlobCache cache(root / "cache");
  const std::string data(500, 'd');
  ASSERT_TRUE(cache.put("toy", "key", data));
  const fs::path file = fs::directory_iterator(root / "cache" / "blobs")->path();
  const std::string good = read_all(file);
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::string text = good;
    const std::size_t at = random() % text.size();
    text[at] = static_cast<char>(text[at] ^ (1u << random() % 8));
    if (round % 5 == 0) text.resize(random() % text.size());
    write_all(file, text);
    EXPECT_FALSE(cache.get("toy", "key")) << "round " << round;
  }
  write_all(file, good);
  EXPECT_EQ(cache.get("toy", "key"), data);
}

/// BACKPLANE_LOG is read once, so each setting needs its own process: gtest's death tests give one.
int log_three_lines(const char* setting) {
  ::setenv("BACKPLANE_LOG", setting, 1);
  Services toy("toy", {});
  const bp_host* table = toy.table();
  table->log(table->context, BP_LOG_DEBUG, "toy.compiler", "debug line");
  table->log(table->context, BP_LOG_WARNING, "compiler", "warning \033[31mline");
  table->log(table->context, BP_LOG_ERROR, nullptr, "error line");
  table->log(table->context, BP_LOG_ERROR, nullptr, nullptr);
  log(BP_LOG_INFO, "graph", "info line");
  return 0;
}

TEST_F(ServicesTest, LogLevelsAreChosenByComponent) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  struct Row {
    const char* setting;
    const char* expected;  // a regular expression over the whole of stderr
  };
  const Row rows[] = {
      {"",
       "^\\[backplane warning\\] \\[toy\\.compiler\\] warning  \\[31mline\n\\[backplane error\\] \\[toy\\] error "
       "line\n$"},
      {"error", "^\\[backplane error\\] \\[toy\\] error line\n$"},
      {"off", "^$"},
      {"off,toy.compiler:debug", "^\\[backplane debug\\] \\[toy\\.compiler\\] debug line\n.*warning.*\n$"},
      {"toy:off,info", "^\\[backplane info\\] \\[graph\\] info line\n$"},
      {"off,wrning", "no level is called \"wrning\"; did you mean \"warning\"\\?"},
  };
  for (const Row& row : rows) {
    EXPECT_EXIT(std::exit(log_three_lines(row.setting)), ::testing::ExitedWithCode(0), row.expected) << row.setting;
  }
}

TEST_F(ServicesTest, DeviceEventsAreLogged) {
  bp_error what{};
  what.size = sizeof what;
  what.code = BP_E_DEVICE_LOST;
  std::memset(what.message, 'm', sizeof what.message);  // not terminated
  ::testing::internal::CaptureStderr();
  host->device_event(host->context, 2, &what);
  host->device_event(host->context, 2, nullptr);
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("[toy:2] the device is lost: mmmm"));
}

}  // namespace
}  // namespace backplane::host::test
