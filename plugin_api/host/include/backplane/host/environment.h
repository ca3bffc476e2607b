// SPDX-License-Identifier: Apache-2.0
// Every BACKPLANE_* variable there is: one table, read by the code, the documentation, `backplane env` and the tests.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::host {

struct EnvironmentVariable {
  std::string_view name;           ///< "BACKPLANE_DEVICE"
  std::string_view values;         ///< what it may be set to, for people
  std::string_view default_value;  ///< what an unset variable means, for people
  std::string_view description;    ///< one sentence
  bool path = false;               ///< decides what is loaded or written: ignored in a privileged (AT_SECURE) process
};

/// Sorted by name.
std::span<const EnvironmentVariable> environment_table();

/// The value of a variable of the table; nothing when it is unset or empty, or ignored because the process is
/// privileged. Throws Error (BP_E_INTERNAL) for a name that is not in the table.
std::optional<std::string> environment(std::string_view name);

/// One warning for each BACKPLANE_* variable that nothing reads, with the nearest name that exists, and for each one
/// ignored in a privileged process. BACKPLANE_<PLUGIN>_* belongs to the plugin: those of `plugins` and of the plugins
/// of this project are fine.
std::vector<std::string> unknown_environment_variables(const std::vector<std::string>& plugins = {});

/// The process runs with more rights than its caller (AT_SECURE: set-user-id, file capabilities).
bool privileged_process();

/// BACKPLANE_CACHE_DIR, else $XDG_CACHE_HOME/backplane, else ~/.cache/backplane; empty when there is none. May not
/// exist.
std::filesystem::path cache_directory();

/// Plugins that this project makes. A selector list may name one that is not installed, and goes on to the next.
std::span<const std::string_view> project_plugins();

}  // namespace backplane::host
