// SPDX-License-Identifier: Apache-2.0
// `backplane devices`, `env` and `version`: what is here, without opening a device.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backplane/autotune/placement.h"
#include "backplane/autotune/tuner.h"
#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/registry.h"
#include "backplane/host/selector.h"
#include "cli/command.h"
#include "cli/inspect.h"

namespace backplane::cli {

Device use_device(const std::string& selector) {
  try {
    const Device device = selector.empty() ? default_device() : Device(selector);
    set_default_device(device);
    return device;
  } catch (const std::exception& error) {
    throw CommandError(ExitCode::device, error.what());
  }
}

std::vector<host::DeviceEntry> list_devices() {
  try {
    return host::Registry::instance().devices();
  } catch (const std::exception& error) {
    throw CommandError(ExitCode::device, error.what());
  }
}

std::string memory_text(uint64_t bytes) {
  if (bytes == 0) return "-";
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
}

std::string state_text(host::PluginState state) {
  switch (state) {
    case host::PluginState::usable:
      return "usable";
    case host::PluginState::unavailable:
      return "unavailable";
    case host::PluginState::rejected:
      return "rejected";
    case host::PluginState::excluded:
      return "excluded";
  }
  return "unknown";
}

Json device_json(const host::DeviceEntry& device) {
  const bp_device_info& info = device.info;
  return {{"name", device.name},
          {"plugin", device.plugin},
          {"kind", host::describe_kind(info)},
          {"id", info.id},
          {"description", info.name},
          {"architecture", info.architecture},
          {"driver", info.driver},
          {"pci", info.pci},
          {"memory_bytes", info.memory_total},
          {"compute_units", info.compute_units},
          {"software", (info.flags & BP_DEVICE_SOFTWARE) != 0},
          {"reference", (info.flags & BP_DEVICE_REFERENCE) != 0}};
}

Json plugin_json(const host::PluginReport& plugin) {
  Json devices = Json::array();
  for (const host::DeviceEntry& each : plugin.devices) devices.push_back(each.name);
  return {{"name", plugin.name},         {"path", plugin.path.string()},      {"state", state_text(plugin.state)},
          {"code", plugin.code},         {"reason", plugin.reason},           {"version", plugin.version},
          {"build_id", plugin.build_id}, {"description", plugin.description}, {"devices", devices}};
}

void print_json(const Json& value) { fmt::print("{}\n", value.dump(2, ' ', false, Json::error_handler_t::replace)); }

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i];
    }
    fmt::print("{}\n", line);
  }
}

/// What `auto` takes by measurements (backplane tune --arbitrate); nothing without them.
std::optional<autotune::Preference> preference() {
  try {
    return autotune::preferred_device(host::Registry::instance(), *autotune::Tuning::instance());
  } catch (const host::Error& error) {
    throw CommandError(ExitCode::usage, error.what());
  }
}

ExitCode run_devices(bool json) {
  const std::vector<host::DeviceEntry> devices = list_devices();
  const auto preferred = preference();
  const std::vector<host::PluginReport>& plugins = host::Registry::instance().plugins();
  if (json) {
    Json list = Json::array(), reports = Json::array();
    for (const auto& each : devices) list.push_back(device_json(each));
    for (const auto& each : plugins) reports.push_back(plugin_json(each));
    Json result = {{"schema", 1}, {"command", "devices"}, {"devices", list}, {"plugins", reports}};
    if (preferred) result["auto"] = {{"device", preferred->device}, {"why", preferred->why}};
    print_json(result);
    return devices.empty() ? ExitCode::device : ExitCode::ok;
  }
  std::vector<std::vector<std::string>> rows{{"DEVICE", "KIND", "MEMORY", "DESCRIPTION"}};
  for (const auto& each : devices) {
    rows.push_back({each.name, host::describe_kind(each.info), memory_text(each.info.memory_total), each.info.name});
  }
  print_table(rows);
  if (preferred) fmt::print("auto takes {}: {}\n", preferred->device, preferred->why);
  for (const auto& each : plugins) {
    if (each.state != host::PluginState::usable) {
      fmt::print("plugin {} is {}: {}\n", each.name, state_text(each.state), each.reason);
    }
  }
  if (devices.empty()) {
    throw CommandError(ExitCode::device, "[devices] there is no usable device / backplane doctor says more");
  }
  return ExitCode::ok;
}

ExitCode run_env(bool json) {
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows{{"VARIABLE", "VALUE", "DEFAULT", "MEANING"}};
  for (const host::EnvironmentVariable& each : host::environment_table()) {
    const auto value = host::environment(each.name);
    list.push_back({{"name", each.name},
                    {"value", value ? Json(*value) : Json()},
                    {"values", each.values},
                    {"default", each.default_value},
                    {"description", each.description}});
    rows.push_back({std::string(each.name), value.value_or("-"),
                    each.default_value.empty() ? "-" : std::string(each.default_value),
                    std::string(each.description)});
  }
  const std::vector<std::string> warnings = host::unknown_environment_variables();
  if (json) {
    print_json({{"schema", 1}, {"command", "env"}, {"variables", list}, {"warnings", warnings}});
    return ExitCode::ok;
  }
  print_table(rows);
  for (const std::string& each : warnings) fmt::print("warning: {}\n", each);
  return ExitCode::ok;
}

std::string abi_version() { return fmt::format("{}.{}", BP_ABI_MAJOR, BP_ABI_MINOR); }

ExitCode run_version(bool json) {
  if (json) {
    print_json({{"schema", 1},
                {"command", "version"},
                {"version", BACKPLANE_VERSION},
                {"abi", abi_version()},
                {"compiler", __VERSION__}});
  } else {
    fmt::print("backplane {}\nplugin ABI {}\nbuilt with GCC {}\n", BACKPLANE_VERSION, abi_version(), __VERSION__);
  }
  return ExitCode::ok;
}

}  // namespace backplane::cli
