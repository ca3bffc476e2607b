// SPDX-License-Identifier: Apache-2.0
// Commands that measure a row again, as text for a shell.
#pragma once

#include <optional>
#include <string>

namespace backplane::bench {

/// 'text' where a shell would take it apart, text where it would not.
std::string quoted(const std::string& text);

/// "backplane bench --devices cpu:0 --case '...' --variants tuned"; with `peers`, "backplane bench peers" and these arguments.
std::string case_command(const std::string& line, const std::string& device, const std::string& variants,
                         const std::optional<std::string>& peers = {});

}  // namespace backplane::bench
