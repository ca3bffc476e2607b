// SPDX-License-Identifier: Apache-2.0
// What is remembered of earlier probes: when it is believed, when not, and that no state of the cache does any harm.
#include "probe_cache.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "backplane/host/text.h"
#include "fixture.h"
#include "probe.h"

namespace backplane::host::test {
namespace {

class ProbeCacheTest : public LoaderTest {
 protected:
  /// Child processes that a fresh registry over the plugin directory starts.
  unsigned probes_of_a_new_registry(const RegistryOptions& chosen) {
    const unsigned before = probes_run();
    Registry registry(chosen);
    registry.plugins();
    return probes_run() - before;
  }
  std::vector<fs::path> cache_files() const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(root / "cache")) out.push_back(entry.path());
    return out;
  }
  /// The only file of the cache, rewritten through `change`.
  void edit(const std::function<void(nlohmann::json&)>& change) {
    ASSERT_EQ(cache_files().size(), 1u);
    nlohmann::json json = nlohmann::json::parse(read_all(cache_files()[0]));
    change(json);
    write_all(cache_files()[0], json.dump());
  }
};

TEST_F(ProbeCacheTest, TheSecondRunStartsNoChildProcess) {
  install_good();
  install_case("entry-segv");
  install_case("devices-unavailable");
  EXPECT_EQ(probes_of_a_new_registry(options()), 3u);
  EXPECT_EQ(probes_of_a_new_registry(options()), 0u);
  Registry registry(options());
  EXPECT_EQ(find(registry, "entry-segv").code, "crashes");
  EXPECT_EQ(find(registry, "devices-unavailable").reason, "no NVIDIA driver (libcuda.so.1)");
  EXPECT_EQ(find(registry, "null").version, "1.0");
  EXPECT_EQ(find(registry, "null").build_id, "null-1");
  expect_good_works(registry);
}

TEST_F(ProbeCacheTest, AWarmListTakesMuchLessThanATenthOfASecond) {
  install_good();
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) install_case(name);
  probes_of_a_new_registry(options());
  const auto start = std::chrono::steady_clock::now();
  Registry registry(options());
  EXPECT_EQ(registry.devices().size(), 7u);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("warm_ms", std::to_string(ms));
  EXPECT_LT(ms, 100.0);
}

TEST_F(ProbeCacheTest, AChangedFileIsProbedAgain) {
  const fs::path file = install_good();
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  EXPECT_EQ(probes_of_a_new_registry(options()), 0u);
  install_good();  // the same bytes written again
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
}

TEST_F(ProbeCacheTest, FreshProbesIgnoreTheCacheAndRenewIt) {
  install_good();
  RegistryOptions fresh = options();
  fresh.cached_probes = false;
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  EXPECT_EQ(probes_of_a_new_registry(fresh), 1u);
  EXPECT_EQ(probes_of_a_new_registry(options()), 0u);
}

TEST_F(ProbeCacheTest, ADriverVariableThatChangesInvalidates) {
  install_good();
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  ::setenv("CUDA_VISIBLE_DEVICES", "7", 1);
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
}

struct Age {
  const char* plugin;
  std::int64_t seconds;
  unsigned probes;
};
TEST_F(ProbeCacheTest, ResultsAge) {
  constexpr Age kAges[] = {
      {"good", 3600, 0},
      {"good", 25 * 3600, 1},
      {"good", -1000, 1},  // a clock that went back
      {"entry-segv", 500, 0},
      {"entry-segv", 700, 1},
      {"devices-unavailable", 50, 0},
      {"devices-unavailable", 70, 1},
  };
  for (const Age& age : kAges) {
    for (const fs::path& directory : {plugins, root / "cache"}) fs::remove_all(directory);
    fs::create_directory(plugins);
    fs::permissions(plugins, fs::perms(0755));
    install_case(age.plugin);
    ASSERT_EQ(probes_of_a_new_registry(options()), 1u);
    edit([&](nlohmann::json& json) { json["time"] = json["time"].get<std::int64_t>() - age.seconds; });
    EXPECT_EQ(probes_of_a_new_registry(options()), age.probes) << age.plugin << " after " << age.seconds << " s";
  }
}

TEST_F(ProbeCacheTest, FilesAreForTheirOwnerOnlyAndNothingIsLeftBeside) {
  install_good();
  probes_of_a_new_registry(options());
  ASSERT_EQ(cache_files().size(), 1u);
  struct stat info {};
  ASSERT_EQ(::stat(cache_files()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((root / "cache").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_THAT(cache_files()[0].filename().string(), ::testing::MatchesRegex("probe-[0-9a-f]+\\.json"));
}

TEST_F(ProbeCacheTest, ADamagedCacheIsAMissAndIsWrittenAnew) {
  install_good();
  probes_of_a_new_registry(options());
  const fs::path file = cache_files().at(0);
  const std::string good = read_all(file);
  const std::vector<std::string> damaged = {"",
                                            "{",
                                            "null",
                                            "[]",
                                            "{}",
                                            "42",
                                            std::string(3 << 20, ' '),
                                            good.substr(0, good.size() / 2),
                                            good + "}",
                                            "{\"key\":1,\"result\":2,\"checksum\":3,\"time\":4}"};
  for (const std::string& text : damaged) {
    write_all(file, text);
    EXPECT_EQ(probes_of_a_new_registry(options()), 1u) << text.substr(0, 60);
    EXPECT_EQ(probes_of_a_new_registry(options()), 0u);
  }
  fs::remove(file);
  fs::create_directory(file);  // not even a file: nothing can be kept, and nothing else goes wrong
  EXPECT_EQ(probes_of_a_new_registry(options()), 1u);
  Registry registry(options());
  expect_good_works(registry);
}

/// A cache file with random damage is either a miss or says exactly what it said before.
TEST_F(ProbeCacheTest, RandomDamageIsNeverBelieved) {
  const fs::path file = install_good();
  probes_of_a_new_registry(options());
  const fs::path cached = cache_files().at(0);
  const std::string good = read_all(cached);
  const FileIdentity identity = check_trust(file, false);
  const ProbeCache cache(root / "cache");
  ASSERT_TRUE(cache.get(identity, "null"));
  const std::string truth = to_json(*cache.get(identity, "null"));
  std::mt19937 random(99);
  int misses = 0;
  for (int round = 0; round < 500; ++round) {
    std::string text = good;
    for (unsigned i = 0, n = 1 + random() % 4; i < n; ++i) text[random() % text.size()] = static_cast<char>(random());
    if (round % 7 == 0) text.resize(random() % text.size());
    write_all(cached, text);
    if (const auto result = cache.get(identity, "null")) {
      EXPECT_EQ(to_json(*result), truth);
    } else {
      ++misses;
    }
  }
  EXPECT_GT(misses, 400);
}

TEST_F(ProbeCacheTest, AnUnwritableOrMissingCacheOnlyCostsTime) {
  install_good();
  RegistryOptions chosen = options();
  write_all(root / "a-file", "x");
  for (const fs::path& directory :
       {fs::path(), root / "a-file", root / "a-file" / "below", fs::path("/proc/no/such")}) {
    chosen.cache_directory = directory;
    EXPECT_EQ(probes_of_a_new_registry(chosen), 1u) << directory;
    EXPECT_EQ(probes_of_a_new_registry(chosen), 1u) << directory;
    Registry registry(chosen);
    expect_good_works(registry);
  }
}

TEST_F(ProbeCacheTest, ACachedListThatIsOutOfDateIsRenewedWhenADeviceIsOpened) {
  install_good();
  probes_of_a_new_registry(options());
  edit([](nlohmann::json& json) {  // as if another device had been there then
    nlohmann::json body = nlohmann::json::parse(json["result"].get<std::string>());
    body["devices"][0]["id"] = "gone";
    json["result"] = body.dump();
    json["checksum"] = hex(hash64(body.dump()));
  });
  Registry registry(options());
  EXPECT_STREQ(registry.devices()[0].info.id, "gone");
  EXPECT_EQ(registry.open("null")->name(), "null:0");
  EXPECT_STREQ(registry.devices()[0].info.id, "null-0");
}

TEST_F(ProbeCacheTest, ManyWritersAtOnce) {
  const fs::path file = install_good();
  const FileIdentity identity = check_trust(file, false);
  const ProbeCache cache(root / "cache");
  ProbeResult result;
  result.code = "crashes";
  result.reason = std::string(2000, 'r');
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        cache.put(identity, "null", result);
        const auto got = cache.get(identity, "null");
        ASSERT_TRUE(got);
        EXPECT_EQ(got->reason, result.reason);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache_files().size(), 1u) << "temporary files left behind";
}

}  // namespace
}  // namespace backplane::host::test
