// SPDX-License-Identifier: Apache-2.0
// How devices and plugins are shown, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backplane/host/registry.h"

namespace backplane::cli {

using Json = nlohmann::ordered_json;

/// Best first. Throws CommandError(device).
std::vector<host::DeviceEntry> list_devices();
std::string state_text(host::PluginState state);
Json device_json(const host::DeviceEntry& device);
Json plugin_json(const host::PluginReport& plugin);
std::string abi_version();

void print_json(const Json& value);
/// Columns padded to their widest cell; the first row is the heading.
void print_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace backplane::cli
