// SPDX-License-Identifier: Apache-2.0
// Which plugins and devices exist, and which one a selector means.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/host/device.h"

namespace backplane::host {

enum class PluginState {
  usable,       ///< has at least one device
  unavailable,  ///< fine, but has no device here; `reason` is the plugin's own
  rejected,     ///< not trusted, not loadable, or misbehaved; `reason` says how
  excluded,     ///< BACKPLANE_PLUGINS or the selector leaves it out; it was not loaded
};

struct DeviceEntry {
  std::string name;    ///< "cuda:0"
  std::string plugin;  ///< "cuda"
  bp_device_info info{};
};

struct PluginReport {
  std::string name;  ///< from the file name until the plugin itself says it
  std::filesystem::path path;
  PluginState state = PluginState::rejected;
  std::string code;    ///< stable short name of the reason: "not-elf", "missing-symbol", "world-writable", ""
  std::string reason;  ///< one sentence for people
  std::string version, build_id, description;
  std::vector<DeviceEntry> devices;
};

/// Everything that decides what is found; from_environment() reads BACKPLANE_*.
struct RegistryOptions {
  std::vector<std::filesystem::path> directories;  ///< in search order
  std::string allow;                               ///< BACKPLANE_PLUGINS: globs, "-glob" denies
  std::filesystem::path cache_directory;           ///< empty: no probe cache
  unsigned probe_timeout_ms = 10000;
  bool probe = true;            ///< probe in a child process before loading; false: plugins() loads every plugin here
  bool cached_probes = true;    ///< believe earlier probes of the same file (BACKPLANE_PROBE=fresh: no)
  bool allow_insecure = false;  ///< BACKPLANE_ALLOW_INSECURE_PLUGINS
  std::filesystem::path probe_executable;  ///< empty: backplane-probe of this installation
  std::vector<std::string> warnings;       ///< about the settings themselves; logged once by the Registry
  static RegistryOptions from_environment();
};

class Registry {
 public:
  explicit Registry(RegistryOptions options);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The process-wide one, made from the environment at first use. Never destroyed: plugins stay loaded.
  static Registry& instance();

  /// All plugins found with their devices (probes what the cache does not know; loads nothing into this process).
  const std::vector<PluginReport>& plugins();
  /// All devices, best first, the order in which `auto` tries them.
  std::vector<DeviceEntry> devices();

  /// Opens the first usable device of a selector list ("cuda:0,vulkan:gpu,cpu"). Loads only plugins that can match.
  /// Opening the same device twice gives the same object. Throws Error with what exists and why it does not match.
  DevicePtr open(std::string_view selector);
  /// BACKPLANE_DEVICE, or `auto`.
  DevicePtr open_default();
  /// The oracle and fallback device (BP_DEVICE_REFERENCE). Throws when none is installed.
  DevicePtr reference();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backplane::host
