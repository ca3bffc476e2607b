// SPDX-License-Identifier: Apache-2.0
// A private directory for each test, plugins copied into it, and a registry that looks nowhere else.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "backplane/host/environment.h"
#include "backplane/host/registry.h"

namespace backplane::host::test {

namespace fs = std::filesystem;

inline std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_all(const fs::path& path, const std::string& data) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << data;
}

class LoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "backplane-host-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root = fs::canonical(pattern);
    plugins = root / "plugins";
    fs::create_directory(plugins);
    fs::permissions(plugins, fs::perms(0755));
    // A sanitizer would turn the crashes of hostile plugins into tidy exits.
    ::setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0:handle_sigfpe=0:detect_leaks=0:use_sigaltstack=0", 1);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }

  static fs::path null_plugin() { return fs::path(TEST_PLUGIN_DIR) / "null" / "libbackplane_null.so"; }
  static fs::path hostile_plugin() { return fs::path(TEST_PLUGIN_DIR) / "hostile" / "libbackplane_hostile.so"; }

  /// `from` as libbackplane_<name>.so, in the plugin directory unless another is given.
  fs::path install(const fs::path& from, const std::string& name, fs::path where = {}) {
    if (where.empty()) where = plugins;
    fs::path to = where / ("libbackplane_" + name + ".so");
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    fs::permissions(to, fs::perms(0755));
    return to;
  }
  fs::path install_good() { return install(null_plugin(), "null"); }
  fs::path install_case(const std::string& name) { return install(hostile_plugin(), name); }

  RegistryOptions options() const {
    RegistryOptions out;
    out.directories = {plugins};
    out.cache_directory = root / "cache";
    out.probe_executable = TEST_PROBE;
    return out;
  }

  static const PluginReport& find(Registry& registry, const std::string& name) {
    static const PluginReport kNone{"(no such plugin)", {}, PluginState::rejected, "(none)", "(none)", "", "", "", {}};
    for (const PluginReport& report : registry.plugins()) {
      if (report.name == name) return report;
    }
    return kNone;
  }

  /// The plugin that has nothing wrong is there and works, whatever lies beside it.
  static void expect_good_works(Registry& registry) {
    EXPECT_EQ(find(registry, "null").state, PluginState::usable) << find(registry, "null").reason;
    const DevicePtr device = registry.open("null:0");
    const Buffer buffer = device->alloc(64);
    const Queue queue = device->create_queue();
    const int written = 4711;
    int read = 0;
    device->upload(queue, {buffer.get(), 4}, &written, sizeof written);
    device->download(queue, &read, {buffer.get(), 4}, sizeof read);
    device->finish(queue);
    EXPECT_EQ(read, written);
  }

  /// Everything that a program prints, run with no BACKPLANE_* variable but those of `settings` ("A=b C=d").
  std::string run(const std::string& program, const std::string& settings) {
    std::string unset;
    for (const EnvironmentVariable& variable : environment_table()) unset += " -u " + std::string(variable.name);
    const fs::path output = root / "output";
    const std::string command = "env" + unset + " " + settings + " " + program + " > " + output.string() + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_all(output);
    return read_all(output);
  }

  fs::path root, plugins;
};

}  // namespace backplane::host::test
