// SPDX-License-Identifier: Apache-2.0
// Plugins that load and then misbehave: each is turned down with its own code and a sentence, and the good plugin
// beside it goes on working.
#include <gmock/gmock.h>

#include <chrono>
#include <ostream>
#include <set>

#include "backplane/host/reasons.h"
#include "fixture.h"

namespace backplane::host::test {
namespace {

struct HostileCase {
  const char* name;    // what plugins/hostile.c does
  const char* code;    // "" = it is used all the same
  const char* reason;  // part of the sentence
};

void PrintTo(const HostileCase& c, std::ostream* out) { *out << c.name; }

constexpr HostileCase kCases[] = {
    {"constructor-segv", "crashes", "SIGSEGV) while it was being loaded"},
    {"constructor-abort", "crashes", "SIGABRT) while it was being loaded"},
    {"constructor-exit", "exits", "exit code 0 while it was being loaded"},
    {"constructor-loop", "hangs", "while it was being loaded"},
    {"entry-segv", "crashes", "SIGSEGV) in its entry point"},
    {"entry-abort", "crashes", "SIGABRT) in its entry point"},
    {"entry-fpe", "crashes", "SIGFPE"},
    {"entry-kill", "crashes", "SIGKILL"},
    {"entry-overflow", "crashes", "SIGSEGV"},
    {"entry-exit", "exits", "exit code 0 in its entry point"},
    {"entry-exit3", "exits", "exit code 3"},
    {"entry-loop", "hangs", "in its entry point"},
    {"entry-throw", "throws", "thrown across the boundary"},
    {"entry-throw-int", "throws", "no std::exception"},
    {"entry-says-why", "crashes", "the moon is not full"},
    {"entry-fails", "entry-failed", "not a byte left"},
    {"entry-unknown-status", "entry-failed", "status -999"},
    {"entry-too-new", "version-mismatch", "needs a host of ABI 1.7"},
    {"entry-null", "null-table", "gave no table"},
    {"entry-misaligned", "misaligned-table", "multiple of 8"},
    {"entry-unmapped", "crashes", "while its tables were read"},
    {"root-size-0", "table-too-small", "has 0 bytes"},
    {"root-size-1", "table-too-small", "has 1 bytes"},
    {"root-size-short", "table-too-small", "needs"},
    {"root-size-huge", "table-too-large", "4294967295"},
    {"root-at-edge", "", ""},
    {"root-major-0", "version-mismatch", "0.9"},
    {"root-major-2", "version-mismatch", "2.0"},
    {"root-major-max", "version-mismatch", "65535"},
    {"root-minor-max", "", ""},
    {"root-null-create", "null-slot", "`create`"},
    {"root-null-destroy", "null-slot", "`destroy`"},
    {"root-null-interface", "null-slot", "`get_interface`"},
    {"root-null-devices", "null-slot", "`devices`"},
    {"root-null-open", "null-slot", "`open`"},
    {"root-null-close", "null-slot", "`close`"},
    {"root-slot-one", "slot-not-code", "`open`"},
    {"root-slot-data", "slot-not-code", "`close`"},
    {"name-null", "bad-string", "name is NULL"},
    {"name-empty", "bad-string", "name is empty"},
    {"name-broken-utf8", "bad-string", "not clean UTF-8"},
    {"name-upper", "bad-string", "other characters"},
    {"name-other", "name-mismatch", "somebody-else"},
    {"name-long", "bad-string", "more than 31"},
    {"name-unmapped", "crashes", "while its tables were read"},
    {"version-null", "bad-string", "version is NULL"},
    {"version-control", "bad-string", "version is not clean"},
    {"build-id-empty", "bad-string", "build id is empty"},
    {"description-long", "bad-string", "description has more than 1023"},
    {"create-fails", "create-failed", "flux capacitor is missing"},
    {"create-unterminated", "create-failed", "xxxx"},
    {"create-unavailable", "unavailable", "no flux capacitor here"},
    {"create-null", "null-instance", "gave no instance"},
    {"create-segv", "crashes", "in `create`"},
    {"create-throw", "throws", "thrown across"},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // with those the probe cannot limit memory
    {"create-eats-memory", "crashes", "SIGABRT"},
#endif
    {"memory-missing", "missing-interface", "bp.memory"},
    {"memory-null-alloc", "null-slot", "bp.memory: the required function `alloc`"},
    {"memory-older", "", ""},
    {"memory-too-small", "table-too-small", "bp.memory"},
    {"memory-misaligned", "misaligned-table", "bp.memory"},
    {"queue-missing", "missing-interface", "bp.queue"},
    {"queue-size-0", "table-too-small", "bp.queue"},
    {"queue-null-last", "null-slot", "`event_sync`"},
    {"kernels-missing", "missing-interface", "bp.kernels"},
    {"kernels-version-2", "version-mismatch", "bp.kernels has version 2.0"},
    {"capture-null", "null-slot", "bp.capture"},
    {"devices-zero", "unavailable", "no device"},
    {"devices-unavailable", "unavailable", "libcuda.so.1"},
    {"devices-fail", "devices-failed", "lost count"},
    {"devices-unknown-status", "devices-failed", "-999"},
    {"devices-many", "too-many-devices", "4294967295"},
    {"devices-unstable", "unstable-devices", "changed"},
    {"devices-overrun", "array-overrun", "beyond"},
    {"devices-segv", "crashes", "in `devices`"},
    {"devices-loop", "hangs", "in `devices`"},
    {"devices-throw", "throws", "thrown across"},
    {"devices-spam", "", ""},
    {"device-empty-id", "bad-device", "`id` is empty"},
    {"device-unterminated-id", "bad-device", "`id` is not NUL-terminated"},
    {"device-control-name", "bad-device", "`name` is not clean"},
    {"device-broken-utf8", "bad-device", "`name` is not clean"},
    {"device-kind-0", "bad-device", "`kind`"},
    {"device-alignment-3", "bad-device", "power of two"},
    {"device-memory-max", "bad-device", "`memory_total`"},
    {"device-duplicate-id", "duplicate-device", "hostile-0"},
    {"device-duplicate-index", "duplicate-device", "index 7"},
    {"device-future-kind", "", ""},
    {"process-closes-stdout", "", ""},
    {"process-closes-report", "garbled-report", "closed the descriptor"},
    {"process-garbles-report", "garbled-report", "damaged"},
    {"process-forges-report", "garbled-report", "damaged"},
    {"process-leaves-child", "", ""},
    {"process-leaves-group", "hangs", "in its entry point"},
};

class HostilePlugin : public LoaderTest, public ::testing::WithParamInterface<HostileCase> {};

TEST_P(HostilePlugin, IsTurnedDownWithItsReasonAndTheGoodOneWorks) {
  const HostileCase& c = GetParam();
  install_good();
  install_case(c.name);
  RegistryOptions chosen = options();
  if (std::string(c.code) == "hangs") chosen.probe_timeout_ms = 2000;
  const auto start = std::chrono::steady_clock::now();
  Registry registry(chosen);
  const PluginReport report = find(registry, c.name);
  EXPECT_EQ(report.code, c.code) << report.reason;
  EXPECT_THAT(report.reason, ::testing::HasSubstr(c.reason));
  EXPECT_EQ(report.state, *c.code == '\0'                             ? PluginState::usable
                          : std::string_view(c.code) == "unavailable" ? PluginState::unavailable
                                                                      : PluginState::rejected);
  EXPECT_EQ(report.devices.empty(), *c.code != '\0');
  expect_good_works(registry);
  if (*c.code == '\0') {
    const DevicePtr device = registry.open(c.name);
    EXPECT_NO_THROW(device->alloc(16));
    if (report.name == "memory-older") {
      EXPECT_EQ(device->memory().usage, nullptr);
    }
  } else {
    EXPECT_THROW(registry.open(c.name), Error);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

INSTANTIATE_TEST_SUITE_P(Host, HostilePlugin, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

class HostilePlugins : public LoaderTest {};

TEST_F(HostilePlugins, AllInOneDirectoryDoNotHideTheGoodOne) {
  install_good();
  std::set<std::string> expected_rejections;
  for (const HostileCase& c : kCases) {
    if (std::string(c.code) == "hangs" || std::string(c.name) == "devices-spam") continue;
    install_case(c.name);
    if (*c.code != '\0') expected_rejections.insert(c.name);
  }
  Registry registry(options());
  std::set<std::string> rejections;
  for (const PluginReport& report : registry.plugins()) {
    if (report.state != PluginState::usable) rejections.insert(report.name);
  }
  EXPECT_EQ(rejections, expected_rejections);
  EXPECT_GE(rejections.size(), 60u);
  expect_good_works(registry);
}

TEST_F(HostilePlugins, ADeviceThatCannotBeOpenedIsAnErrorWithThePluginsWords) {
  install_case("open-fails");
  install_case("open-null");
  Registry registry(options());
  try {
    registry.open("open-fails:0,open-null");
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("somebody else has all of it"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("gave no object"));
  }
}

TEST_F(HostilePlugins, WithoutAProbeEverythingIsCheckedInThisProcess) {
  install_good();
  for (const char* name : {"entry-throw", "root-major-2", "devices-zero", "memory-null-alloc"}) install_case(name);
  RegistryOptions chosen = options();
  chosen.probe = false;
  Registry registry(chosen);
  EXPECT_EQ(find(registry, "entry-throw").code, "throws");
  EXPECT_EQ(find(registry, "root-major-2").code, "version-mismatch");
  EXPECT_EQ(find(registry, "devices-zero").code, "unavailable");
  EXPECT_EQ(find(registry, "memory-null-alloc").code, "null-slot");
  expect_good_works(registry);
}

}  // namespace
}  // namespace backplane::host::test
