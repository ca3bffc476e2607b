// SPDX-License-Identifier: Apache-2.0
// `backplane doctor`: everything that can be wrong with an installation, each as one checked line. Ends with 1 when a
// check has failed; a plugin without its hardware is no failure.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "backplane/backplane.h"
#include "backplane/host/environment.h"
#include "backplane/host/selector.h"
#include "backplane/host_random.h"
#include "backplane/io/atomic_file.h"
#include "cli/command.h"
#include "cli/inspect.h"

namespace backplane::cli {
namespace {

enum class Verdict { ok, note, warning, failed };

struct Check {
  std::string what;
  Verdict verdict;
  std::string text;
};

const char* name_of(Verdict verdict) {
  constexpr const char* kNames[] = {"ok", "note", "warning", "failed"};
  return kNames[static_cast<size_t>(verdict)];
}

void check_environment(std::vector<Check>& checks) {
  const std::vector<std::string> warnings = host::unknown_environment_variables();
  for (const std::string& each : warnings) checks.push_back({"environment", Verdict::warning, each});
  if (warnings.empty()) checks.push_back({"environment", Verdict::ok, "every BACKPLANE_* variable is known"});
}

void check_cache(std::vector<Check>& checks) {
  const std::filesystem::path directory = host::cache_directory();
  if (directory.empty()) {
    checks.push_back({"cache", Verdict::warning, "there is no place for a cache / set BACKPLANE_CACHE_DIR or HOME"});
    return;
  }
  try {
    std::filesystem::create_directories(directory);
    io::AtomicFile(std::string("doctor"), directory / fmt::format("doctor-{}", getpid()));
    checks.push_back({"cache", Verdict::ok, directory.string() + " can be written"});
  } catch (const std::exception& error) {
    checks.push_back(
        {"cache", Verdict::failed, std::string(error.what()) + " / set BACKPLANE_CACHE_DIR to a directory of yours"});
  }
}

void check_plugins(std::vector<Check>& checks) {
  constexpr Verdict kVerdicts[] = {Verdict::ok, Verdict::note, Verdict::failed, Verdict::note};  // by PluginState
  for (const host::PluginReport& plugin : host::Registry::instance().plugins()) {
    std::string text = state_text(plugin.state);
    if (!plugin.version.empty()) text += ", version " + plugin.version;
    if (plugin.state == host::PluginState::usable) text += fmt::format(", {} device(s)", plugin.devices.size());
    if (!plugin.code.empty()) text += " [" + plugin.code + "]";
    if (!plugin.reason.empty()) text += ": " + plugin.reason;
    checks.push_back({"plugin " + plugin.name, kVerdicts[static_cast<size_t>(plugin.state)],
                      text + " (" + plugin.path.string() + ")"});
  }
}

/// A small product against the same in double on the host: odd sizes, a transposed operand. The bound is that of the
/// rounding of a sum of K products in f32, with room to spare for another order.
Check check_device(const host::DeviceEntry& entry) {
  constexpr int64_t kM = 33, kN = 17, kK = 50;
  const std::string what = "device " + entry.name;
  try {
    std::vector<float> a(kM * kK), b(kN * kK);
    host_uniform({1, 0, 0, 0}, a);
    host_uniform({2, 0, 0, 0}, b);
    const Device device(entry.name);
    const std::vector<float> c =
        matmul(Tensor::from(a, {kM, kK}, device), transpose(Tensor::from(b, {kN, kK}, device))).to_vector<float>();
    double worst = 0;
    for (int64_t i = 0; i < kM; ++i) {
      for (int64_t j = 0; j < kN; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < kK; ++k) sum += double{a[i * kK + k]} * double{b[j * kK + k]};
        const double error = std::abs(sum - c[i * kN + j]);
        worst = error > worst || std::isnan(error) ? error : worst;
      }
    }
    if (!(worst <= kK * kK * 0x1p-24)) {
      return {what, Verdict::failed,
              fmt::format("a matrix product is wrong by {:.3g} / report this to the plugin's author", worst)};
    }
    return {what, Verdict::ok,
            fmt::format("{} ({}), a matrix product differs by {:.1e}", entry.info.name,
                        host::describe_kind(entry.info), worst)};
  } catch (const std::exception& error) {
    return {what, Verdict::failed, error.what()};
  }
}

void check_devices(std::vector<Check>& checks) {
  bool any = false, oracle = false;
  for (const host::PluginReport& plugin : host::Registry::instance().plugins()) {
    for (const host::DeviceEntry& entry : plugin.devices) {
      checks.push_back(check_device(entry));
      any = true;
      oracle = oracle || (entry.info.flags & BP_DEVICE_REFERENCE) != 0;
    }
  }
  if (!any) {
    checks.push_back({"devices", Verdict::failed, "there is no device / install a plugin or set BACKPLANE_PLUGIN_PATH"});
  }
  if (!oracle) {
    checks.push_back(
        {"fallback", Verdict::warning, "no reference device: what a device declines cannot run on the host"});
  }
  if (any) {
    try {
      checks.push_back({"default device", Verdict::ok, default_device().name()});
    } catch (const std::exception& error) {
      checks.push_back({"default device", Verdict::failed, error.what()});
    }
  }
}

}  // namespace

ExitCode run_doctor(bool json) {
  std::vector<Check> checks{
      {"version", Verdict::ok, fmt::format("backplane {}, plugin ABI {}", BACKPLANE_VERSION, abi_version())}};
  check_environment(checks);
  check_cache(checks);
  check_plugins(checks);
  check_devices(checks);
  const bool failed =
      std::any_of(checks.begin(), checks.end(), [](const Check& c) { return c.verdict == Verdict::failed; });
  if (json) {
    Json list = Json::array();
    for (const Check& each : checks) {
      list.push_back({{"check", each.what}, {"verdict", name_of(each.verdict)}, {"text", each.text}});
    }
    print_json({{"schema", 1}, {"command", "doctor"}, {"ok", !failed}, {"checks", list}});
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const Check& each : checks) rows.push_back({name_of(each.verdict), each.what, each.text});
    print_table(rows);
  }
  return failed ? ExitCode::failure : ExitCode::ok;
}

}  // namespace backplane::cli
