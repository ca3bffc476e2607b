// SPDX-License-Identifier: Apache-2.0
// Prints how the loader sees its process, one "name=value" a line. The tests run copies of this program from a tree
// that was moved and with other rights than their own.
#include <iostream>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/registry.h"
#include "discovery.h"
#include "probe.h"

namespace {
backplane::host::DevicePtr g_held;  // made before any plugin is loaded, destroyed after all of their static objects
}

/// A leak checker cannot look into a process with other rights; read by AddressSanitizer, where it is there at all.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

int main() {
  using namespace backplane::host;
  std::cout << "own_directory=" << own_directory().string() << "\n";
  std::cout << "probe=" << find_probe_executable().string() << "\n";
  std::cout << "privileged=" << privileged_process() << "\n";
  std::cout << "device_variable=" << environment("BACKPLANE_DEVICE").value_or("") << "\n";
  std::cout << "cache=" << cache_directory().string() << "\n";
  const RegistryOptions options = RegistryOptions::from_environment();
  std::cout << "allow_insecure=" << options.allow_insecure << "\n";
  std::cout << "first_directory=" << options.directories.at(0).string() << "\n";
  for (const std::string& warning : unknown_environment_variables()) std::cout << "warning=" << warning << "\n";
  for (const PluginReport& plugin : Registry::instance().plugins())
    std::cout << "plugin=" << plugin.path.string() << "\n";
  try {
    g_held = Registry::instance().open_default();
    std::cout << "opened=" << g_held->name() << "\n";
  } catch (const Error& error) {
    std::cout << "opened=nothing\n";
  }
  std::cout << "probes=" << probes_run() << std::endl;
}
