// SPDX-License-Identifier: Apache-2.0
// A plugin loaded with plain dlopen and created with a host that offers nothing, for tests that look no further than
// its list of devices.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "backplane/plugin.h"

namespace card_test {

struct LoadedPlugin {
  explicit LoadedPlugin(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    auto entry = library != nullptr ? reinterpret_cast<bp_plugin_entry>(dlsym(library, BP_PLUGIN_ENTRY_NAME)) : nullptr;
    host.size = sizeof(host);
    host.abi_version = BP_ABI_VERSION;
    if (entry == nullptr || entry(&host, &api, nullptr) != BP_OK || api->create(&host, &plugin, nullptr) != BP_OK) {
      std::fprintf(stderr, "%s cannot be loaded\n", path);
      std::abort();
    }
  }
  ~LoadedPlugin() { api->destroy(plugin); }
  LoadedPlugin(const LoadedPlugin&) = delete;
  LoadedPlugin& operator=(const LoadedPlugin&) = delete;

  bp_host host{};
  const bp_plugin_api* api = nullptr;
  bp_plugin* plugin = nullptr;
};

}  // namespace card_test
