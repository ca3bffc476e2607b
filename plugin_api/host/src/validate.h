// SPDX-License-Identifier: Apache-2.0
// Everything a plugin hands over, checked before it is used, and copied into full-size structs whose missing tail is
// zero. All functions throw Rejection.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "backplane/collective.h"
#include "backplane/peer.h"
#include "backplane/plugin.h"

namespace backplane::host {

/// `pointer` lies in an executable segment of a loaded library.
bool points_to_code(const void* pointer);

bp_plugin_api check_root(const bp_plugin_api* table, const std::string& expected_name);

struct InterfaceTables {
  bp_memory_api memory{};
  bp_queue_api queue{};
  bp_kernels_api kernels{};
  bp_capture_api capture{};  // size 0: not offered; the same for those below
  bp_timing_api timing{};
  bp_interop_api interop{};
  bp_telemetry_api telemetry{};
  bp_peer_api peer{};
  bp_collective_api collective{};
};
InterfaceTables check_interfaces(const bp_plugin_api& api, bp_plugin* instance);

/// Asks for the device list and checks it. An empty list is a Rejection "unavailable", as is BP_E_UNAVAILABLE.
std::vector<bp_device_info> check_devices(const bp_plugin_api& api, bp_plugin* instance);
/// The checks of one list; normalises "0 counts as 1" and unknown kinds.
void check_device_list(std::vector<bp_device_info>& devices);

/// Text of a plugin's failure: its message, or what the status means.
std::string failure_text(bp_status status, const bp_error& error);

}  // namespace backplane::host
