// SPDX-License-Identifier: Apache-2.0
// The table of variables: sorted, complete sentences, read by somebody, and nothing unknown passes unnoticed.
#include "backplane/host/environment.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "backplane/host/error.h"
#include "fixture.h"

namespace backplane::host::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(Environment, TheTableIsSortedAndSaysEverything) {
  const auto table = environment_table();
  EXPECT_TRUE(std::is_sorted(table.begin(), table.end(), [](auto& a, auto& b) { return a.name < b.name; }));
  for (const EnvironmentVariable& variable : table) {
    EXPECT_EQ(variable.name.substr(0, 10), "BACKPLANE_");
    EXPECT_FALSE(variable.values.empty()) << variable.name;
    EXPECT_EQ(variable.description.back(), '.') << variable.name;
  }
}

TEST(Environment, OnlyVariablesOfTheTableAreRead) {
  ::setenv("BACKPLANE_DEVICE", "cpu", 1);
  EXPECT_EQ(environment("BACKPLANE_DEVICE"), "cpu");
  ::setenv("BACKPLANE_DEVICE", "", 1);
  EXPECT_EQ(environment("BACKPLANE_DEVICE"), std::nullopt) << "empty counts as unset";
  ::unsetenv("BACKPLANE_DEVICE");
  EXPECT_EQ(environment("BACKPLANE_DEVICE"), std::nullopt);
  EXPECT_THROW(environment("BACKPLANE_DEVICES"), Error);
}

TEST(Environment, UnknownVariablesAreNamedWithTheNearestOne) {
  ::setenv("BACKPLANE_DEVCIE", "cpu", 1);
  ::setenv("BACKPLANE_CUDA_STREAMS", "4", 1);  // a plugin of this project
  ::setenv("BACKPLANE_TOY_LEVEL", "4", 1);
  const auto count = [](const std::vector<std::string>& warnings, const char* what) {
    return std::count_if(warnings.begin(), warnings.end(), [&](auto& w) { return w.find(what) != std::string::npos; });
  };
  EXPECT_THAT(unknown_environment_variables(),
              Contains(HasSubstr("BACKPLANE_DEVCIE is set, but nothing reads it; did you mean BACKPLANE_DEVICE?")));
  EXPECT_EQ(count(unknown_environment_variables(), "CUDA_STREAMS"), 0);
  EXPECT_EQ(count(unknown_environment_variables(), "TOY_LEVEL"), 1);
  EXPECT_EQ(count(unknown_environment_variables({"toy"}), "TOY_LEVEL"), 0);
  ::unsetenv("BACKPLANE_DEVCIE");
  ::unsetenv("BACKPLANE_CUDA_STREAMS");
  ::unsetenv("BACKPLANE_TOY_LEVEL");
}

TEST(Environment, BadValuesOfTheLoadersSettingsAreSaid) {
  ::setenv("BACKPLANE_PROBE_TIMEOUT_MS", "soon", 1);
  ::setenv("BACKPLANE_PROBE", "maybe", 1);
  ::setenv("BACKPLANE_ALLOW_INSECURE_PLUGINS", "yes", 1);
  const RegistryOptions bad = RegistryOptions::from_environment();
  EXPECT_EQ(bad.warnings.size(), 3u);
  EXPECT_FALSE(bad.allow_insecure);
  EXPECT_TRUE(bad.probe);
  EXPECT_EQ(bad.probe_timeout_ms, 10000u);
  ::setenv("BACKPLANE_PROBE_TIMEOUT_MS", "250", 1);
  ::setenv("BACKPLANE_PROBE", "fresh", 1);
  ::setenv("BACKPLANE_ALLOW_INSECURE_PLUGINS", "1", 1);
  const RegistryOptions good = RegistryOptions::from_environment();
  EXPECT_TRUE(good.warnings.empty());
  EXPECT_TRUE(good.allow_insecure);
  EXPECT_FALSE(good.cached_probes);
  EXPECT_EQ(good.probe_timeout_ms, 250u);
  for (const char* name : {"BACKPLANE_PROBE_TIMEOUT_MS", "BACKPLANE_PROBE", "BACKPLANE_ALLOW_INSECURE_PLUGINS"})
    ::unsetenv(name);
}

TEST(Environment, TheCacheDirectoryFollowsTheUsualRules) {
  ::setenv("BACKPLANE_CACHE_DIR", "/a", 1);
  ::setenv("XDG_CACHE_HOME", "/b", 1);
  ::setenv("HOME", "/c", 1);
  EXPECT_EQ(cache_directory(), "/a");
  ::unsetenv("BACKPLANE_CACHE_DIR");
  EXPECT_EQ(cache_directory(), "/b/backplane");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(cache_directory(), "/c/.cache/backplane") << "the XDG specification says to ignore relative paths";
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(cache_directory(), "");
}

class PrivilegedTest : public LoaderTest {};

/// Runs a set-user-id copy of this program. Only root can make one that really has other rights than its caller; for
/// everybody else AT_SECURE has to be off, and that is what is tested then.
TEST_F(PrivilegedTest, PathVariablesAreIgnoredInAPrivilegedProcess) {
  const bool is_root = ::geteuid() == 0;
  const fs::path copy = root / "child";
  fs::copy_file(TEST_CHILD, copy);
  fs::permissions(root, fs::perms(0755));
  if (is_root) {
    ASSERT_EQ(::chown(copy.c_str(), 65534, 65534), 0);
    ASSERT_EQ(::chmod(copy.c_str(), 04755), 0);
  }
  const std::string set =
      "BACKPLANE_PLUGIN_PATH=/tmp BACKPLANE_ALLOW_INSECURE_PLUGINS=1 BACKPLANE_DEVICE=cpu "
      "BACKPLANE_CACHE_DIR=" +
      (root / "cache").string();
  const std::string output = run(copy.string(), set);
  EXPECT_THAT(output, HasSubstr("device_variable=cpu\n")) << "what decides no path is read in any case";
  if (is_root) {
    EXPECT_THAT(output, HasSubstr("privileged=1\n")) << "is this file system mounted nosuid?";
    EXPECT_THAT(output, HasSubstr("allow_insecure=0\n"));
    EXPECT_THAT(output, HasSubstr("cache=\n"));
    EXPECT_THAT(output, HasSubstr("first_directory=" + (root / "backplane" / "plugins").string() + "\n"));
    for (const char* name : {"PLUGIN_PATH", "ALLOW_INSECURE_PLUGINS", "CACHE_DIR"}) {
      EXPECT_THAT(output,
                  HasSubstr("BACKPLANE_" + std::string(name) + " is ignored, because this process has more rights"));
    }
  } else {
    EXPECT_THAT(output, HasSubstr("privileged=0\n"));
    EXPECT_THAT(output, HasSubstr("allow_insecure=1\n"));
    EXPECT_THAT(output, HasSubstr("first_directory=/tmp\n"));
  }
}

}  // namespace
}  // namespace backplane::host::test
