// SPDX-License-Identifier: Apache-2.0
// The one log of the process: lines on stderr, chosen by BACKPLANE_LOG. Plugins reach it through bp_host.log.
#pragma once

#include <cstdint>
#include <string_view>

namespace backplane::host {

/// `level` is BP_LOG_*. Cheap enough to be asked before a message is put together.
bool log_enabled(std::int32_t level, std::string_view component);

/// One line. `component` names the part ("graph", "cuda.compiler"); a rule for "cuda" covers "cuda.compiler", too.
void log(std::int32_t level, std::string_view component, std::string_view message);

}  // namespace backplane::host
