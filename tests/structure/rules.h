// SPDX-License-Identifier: Apache-2.0
// What must hold for the source tree. Each rule returns one line for each violation: "file:line: what is wrong".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "source_tree.h"

namespace backplane::tests {

using Violations = std::vector<std::string>;

/// Includes point down: frontend -> graph -> autotune -> plugin_api; plugins -> plugin.h and sdk only.
Violations check_direction(const std::vector<SourceFile>& files);
/// Headers of vendors stay in the plugins (and in what measures against them).
Violations check_vendor_headers(const std::vector<SourceFile>& files);
/// Only plugin_api/host loads libraries and reads the environment.
Violations check_calls(const std::vector<SourceFile>& files);
/// Every BACKPLANE_ name in the code is in the table, and everything in the table is used by the code. `table` is the
/// file that defines it.
Violations check_environment(const std::vector<SourceFile>& files, std::span<const std::string_view> names,
                             std::string_view table);
/// One SPDX line, at the top of every source file.
Violations check_spdx(const std::vector<SourceFile>& files);
/// No path of somebody's machine in any text.
Violations check_machine_paths(const std::vector<SourceFile>& files);

}  // namespace backplane::tests
