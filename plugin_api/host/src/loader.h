// SPDX-License-Identifier: Apache-2.0
// Load one plugin into this process and ask it everything the host has to know. The same code runs in the probe's child
// process and, once that went well, in the host.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backplane/host/device.h"
#include "services.h"
#include "validate.h"

namespace backplane::host {

/// A loaded plugin with its one instance. Neither is ever given back: what drivers leave behind (threads, exit
/// handlers) lives in the library's code, and drivers do not like to be shut down while a process ends.
class Plugin {
 public:
  Plugin(const std::string& name, std::filesystem::path path, const std::filesystem::path& cache_directory)
      : name(name), path(std::move(path)), services(name, cache_directory) {}
  std::string name;
  std::filesystem::path path;
  std::string version, build_id, description;
  Services services;
  bp_plugin_api api{};
  bp_plugin* instance = nullptr;
  InterfaceTables tables;
  std::vector<bp_device_info> devices;
};

/// What is going on: "load", "entry", "tables", "create", "devices". The probe reports it, so that a crash has a place.
using StageObserver = std::function<void(const char* stage)>;

/// Throws Rejection. A failure leaves no instance behind; the library itself stays mapped, unreachable.
std::shared_ptr<Plugin> load_plugin(const std::filesystem::path& path, const std::string& name,
                                    const std::filesystem::path& cache_directory, const StageObserver& at = {});

}  // namespace backplane::host
