// SPDX-License-Identifier: Apache-2.0
// Finding, choosing and opening: laziness, search order, allow lists, relocation, many threads at once.
#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "backplane/host/error.h"
#include "discovery.h"
#include "fixture.h"
#include "probe.h"

namespace backplane::host::test {
namespace {

using ::testing::HasSubstr;

class RegistryTest : public LoaderTest {
 protected:
  /// hostile.c leaves a file behind when a plugin of that name is loaded, in whatever process.
  bool was_loaded(const std::string& name) const {
    return fs::exists(plugins / ("libbackplane_" + name + ".so.loaded"));
  }
  static std::string error_of(Registry& registry, const std::string& selector) {
    try {
      registry.open(selector);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  }
};

TEST_F(RegistryTest, APluginThatTheSelectorCannotMatchIsNeitherProbedNorLoaded) {
  install_good();
  install_case("mark-one");
  install_case("mark-two");
  Registry registry(options());
  EXPECT_EQ(registry.open("null")->name(), "null:0");
  EXPECT_EQ(registry.open("null:0,mark-one")->name(), "null:0");
  EXPECT_FALSE(was_loaded("mark-one"));
  EXPECT_FALSE(was_loaded("mark-two"));
  EXPECT_EQ(registry.open("mark-one")->name(), "mark-one:0");
  EXPECT_TRUE(was_loaded("mark-one"));
  EXPECT_FALSE(was_loaded("mark-two"));
}

TEST_F(RegistryTest, AnExcludedPluginIsNotTouchedEither) {
  install_good();
  install_case("mark-one");
  install_case("mark-two");
  RegistryOptions chosen = options();
  chosen.allow = "null,mark*,-mark-two";
  Registry registry(chosen);
  EXPECT_EQ(registry.open("!mark-one")->name(), "null:0");
  EXPECT_FALSE(was_loaded("mark-one"));
  EXPECT_EQ(find(registry, "mark-two").state, PluginState::excluded);
  EXPECT_EQ(find(registry, "mark-two").code, "excluded");
  EXPECT_THAT(error_of(registry, "mark-two"), HasSubstr("BACKPLANE_PLUGINS=null,mark*,-mark-two"));
  EXPECT_FALSE(was_loaded("mark-two"));
  EXPECT_TRUE(was_loaded("mark-one")) << "plugins() probes everything that is allowed";
}

TEST_F(RegistryTest, AListGoesOnWhenSomethingIsNotThereAndSaysWhyWhenNothingIs) {
  install_good();
  install_case("devices-unavailable");
  Registry registry(options());
  EXPECT_EQ(registry.open("cuda:0,devices-unavailable,null:3,null")->name(), "null:0");
  const std::string error = error_of(registry, "cuda:0,devices-unavailable,null:3,null:gpu");
  EXPECT_THAT(error, HasSubstr("cuda:0: plugin cuda is not installed"));
  EXPECT_THAT(error, HasSubstr("devices-unavailable has no device here: no NVIDIA driver (libcuda.so.1)"));
  EXPECT_THAT(error, HasSubstr("null:3: plugin null has no such device; it has null:0 (Nothing, done quickly"));
  EXPECT_THAT(error, HasSubstr("null:gpu: plugin null has no such device"));
  EXPECT_THAT(error_of(registry, "gpu"),
              HasSubstr("gpu: no device here is like that\n  gpu: plugin devices-unavailable has"));
  EXPECT_THAT(error_of(registry, "null,!null"), HasSubstr("null: plugin null is excluded by \"!null\""));
  EXPECT_THAT(error_of(registry, "null,!software"), HasSubstr("null: null:0 is excluded"));
  EXPECT_THAT(error_of(registry, "null,nul"), HasSubstr("did you mean \"null\"?"))
      << "a typo is an error wherever it stands";
}

TEST_F(RegistryTest, ErrorsNameTheDirectoriesWhenThereIsNoPluginAtAll) {
  Registry registry(options());
  EXPECT_TRUE(registry.plugins().empty());
  EXPECT_TRUE(registry.devices().empty());
  EXPECT_THAT(error_of(registry, "auto"), HasSubstr(plugins.string()));
  EXPECT_THROW(registry.reference(), Error);
}

TEST_F(RegistryTest, ADirectoryThatIsMissingOrNoDirectoryIsNoError) {
  install_good();
  RegistryOptions chosen = options();
  write_all(root / "file", "x");
  chosen.directories = {root / "missing", root / "file", "relative", plugins, plugins, root / "." / "plugins"};
  Registry registry(chosen);
  EXPECT_EQ(registry.plugins().size(), 1u) << "the same directory twice counts once";
  expect_good_works(registry);
}

TEST_F(RegistryTest, TheFirstOfTwoPluginsWithOneNameWinsAndTheSecondIsReported) {
  const fs::path second = root / "second";
  fs::create_directory(second);
  install_good();
  install(null_plugin(), "null", second);
  RegistryOptions chosen = options();
  chosen.directories.push_back(second);
  Registry registry(chosen);
  ASSERT_EQ(registry.plugins().size(), 2u);
  EXPECT_EQ(registry.plugins()[0].state, PluginState::usable);
  EXPECT_EQ(registry.plugins()[1].code, "duplicate-name");
  EXPECT_THAT(registry.plugins()[1].reason, HasSubstr((plugins / "libbackplane_null.so").string()));
  EXPECT_EQ(registry.devices().size(), 1u);
}

TEST_F(RegistryTest, ABrokenPluginDoesNotHideALaterOneOfItsName) {
  const fs::path second = root / "second";
  fs::create_directory(second);
  write_all(plugins / "libbackplane_null.so", "damaged");
  install(null_plugin(), "null", second);
  RegistryOptions chosen = options();
  chosen.directories.push_back(second);
  Registry registry(chosen);
  EXPECT_EQ(registry.plugins()[0].code, "not-elf");
  EXPECT_EQ(registry.plugins()[1].state, PluginState::usable);
  EXPECT_EQ(registry.open("null")->name(), "null:0");
}

TEST_F(RegistryTest, OpeningTwiceGivesTheSameDeviceWhileItIsInUse) {
  install_good();
  Registry registry(options());
  const DevicePtr first = registry.open("null:0");
  EXPECT_EQ(first, registry.open("name=Nothing*"));
  EXPECT_EQ(first, registry.open("auto"));
  EXPECT_EQ(first->plugin_name(), "null");
  EXPECT_EQ(first->plugin_build_id(), "null-1");
  EXPECT_EQ(first->info().kind, static_cast<std::uint32_t>(BP_KIND_OTHER));
}

TEST_F(RegistryTest, ManyThreadsOpenAtOnce) {
  install_good();
  install_case("device-future-kind");
  install_case("entry-segv");
  Registry registry(options());
  std::vector<DevicePtr> opened(16);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    threads.emplace_back([&, i] {
      if (i % 4 == 1) registry.plugins();
      if (i % 4 == 2) {
        EXPECT_THROW(registry.open("entry-segv"), Error);
      }
      opened[i] = registry.open(i % 2 == 0 ? "null:0" : "device-future-kind:0");
      const Buffer buffer = opened[i]->alloc(128);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<Device*> distinct;
  for (const DevicePtr& device : opened) distinct.insert(device.get());
  EXPECT_EQ(distinct.size(), 2u);
}

TEST_F(RegistryTest, SnapshotsStayValidWhileLaterOnesAreTaken) {
  install_good();
  install_case("open-fails");
  Registry registry(options());
  const std::vector<PluginReport>& before = registry.plugins();
  const std::string name = before[0].name;
  registry.open("null");
  const std::vector<PluginReport>& after = registry.plugins();
  EXPECT_EQ(before[0].name, name);
  EXPECT_EQ(before.size(), after.size());
}

TEST_F(RegistryTest, AFileThatChangesBetweenProbeAndLoadIsNotLoaded) {
  install_good();
  Registry registry(options());
  ASSERT_EQ(find(registry, "null").state, PluginState::usable);
  write_all(plugins / "libbackplane_null.so", read_all(null_plugin()) + "x");
  EXPECT_THAT(error_of(registry, "null"), HasSubstr("changed after it was examined"));
}

TEST_F(RegistryTest, ATreeThatWasMovedFindsItsPluginsAndItsProbe) {
  // lib/backplane/plugins beside bin/, as installed; then the whole tree moves.
  const fs::path first = root / "first", second = root / "elsewhere" / "moved";
  fs::create_directories(first / "bin");
  fs::create_directories(first / "lib" / "backplane" / "plugins");
  fs::create_directories(second.parent_path());
  fs::copy_file(TEST_CHILD, first / "bin" / "child");
  fs::copy_file(TEST_PROBE, first / "lib" / "backplane" / "backplane-probe");
  install(null_plugin(), "null", first / "lib" / "backplane" / "plugins");
  fs::rename(first, second);
  const std::string output = run((second / "bin" / "child").string(),
                                 "BACKPLANE_CACHE_DIR=" + (root / "cache").string() + " BACKPLANE_DEVICE=null:0");
  const std::string lib = (second / "lib" / "backplane").string();
  EXPECT_THAT(output, HasSubstr("own_directory=" + (second / "bin").string() + "\n"));
  EXPECT_THAT(output, HasSubstr("probe=" + lib + "/backplane-probe\n"));
  EXPECT_THAT(output, HasSubstr("plugin=" + lib + "/plugins/libbackplane_null.so\n"));
  EXPECT_THAT(output, HasSubstr("opened=null:0\nprobes=1\n"));
  EXPECT_THAT(output, ::testing::Not(HasSubstr("warning")));
}

TEST_F(RegistryTest, ADeviceInAStaticObjectDoesNotCallItsPluginAfterThatHasEnded) {
  install_case("closes-late");
  const std::string output =
      run(TEST_CHILD, "BACKPLANE_PLUGIN_PATH=" + plugins.string() + " BACKPLANE_DEVICE=closes-late " +
                          "BACKPLANE_CACHE_DIR=" + (root / "cache").string());  // fails when it aborts
  EXPECT_THAT(output, HasSubstr("opened=closes-late:0\n"));
}

TEST_F(RegistryTest, TheCurrentDirectoryAndLibraryPathAreNotSearched) {
  install_good();
  const fs::path before = fs::current_path();
  fs::current_path(plugins);
  ::setenv("LD_LIBRARY_PATH", plugins.c_str(), 1);
  ::setenv("BACKPLANE_PLUGIN_PATH", ".:plugins:", 1);
  std::vector<std::string> warnings;
  for (const fs::path& directory : plugin_directories(".:plugins:", warnings)) EXPECT_TRUE(directory.is_absolute());
  EXPECT_EQ(warnings.size(), 2u);
  const RegistryOptions chosen = RegistryOptions::from_environment();
  EXPECT_THAT(chosen.warnings, ::testing::Contains(HasSubstr("not an absolute path")));
  for (const Candidate& candidate : find_candidates(chosen.directories))
    EXPECT_NE(candidate.path.parent_path(), plugins);
  ::unsetenv("LD_LIBRARY_PATH");
  ::unsetenv("BACKPLANE_PLUGIN_PATH");
  fs::current_path(before);
}

TEST_F(RegistryTest, PluginPathComesBeforeTheInstalledDirectories) {
  std::vector<std::string> warnings;
  const auto directories = plugin_directories(plugins.string() + ":/other", warnings);
  ASSERT_EQ(directories.size(), 4u);
  EXPECT_EQ(directories[0], plugins);
  EXPECT_EQ(directories[1], "/other");
  EXPECT_THAT(directories[2].string(), ::testing::EndsWith("backplane/plugins"));
}

TEST_F(RegistryTest, AMissingProbeIsSaidAndThePluginIsStillUsed) {
  install_good();
  RegistryOptions chosen = options();
  chosen.probe_executable = root / "no-such-probe";
  Registry registry(chosen);
  ::testing::internal::CaptureStderr();
  expect_good_works(registry);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("without being probed"));
}

TEST(AllowList, AllowsAndDeniesByGlob) {
  struct Row {
    const char *name, *list;
    bool allowed;
  };
  constexpr Row kRows[] = {
      {"cpu", "", true},
      {"cpu", "*", true},
      {"cpu", "cpu", true},
      {"cuda", "cpu", false},
      {"cuda", "c*", true},
      {"cuda", "c*,-cuda", false},
      {"cpu", "c*,-cuda", true},
      {"cpu", "-cuda", true},
      {"cuda", "-cuda", false},
      {"cuda", "-*,cuda", false},
      {"cpu", " cpu , vulkan ", true},
      {"vulkan", "v?lkan", true},
      {"vulkan", "v?kan", false},
  };
  for (const Row& row : kRows) EXPECT_EQ(is_allowed(row.name, row.list), row.allowed) << row.name << " by " << row.list;
}

}  // namespace
}  // namespace backplane::host::test
