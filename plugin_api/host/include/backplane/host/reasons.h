// SPDX-License-Identifier: Apache-2.0
// Why a plugin is not used: one table of stable short codes (PluginReport::code), grouped by the stage that finds them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace backplane::host {

struct ReasonCode {
  std::string_view code;     ///< stable; scripts and tests may compare it
  std::string_view stage;    ///< discovery, trust, file, probe, load, entry, tables, create, devices
  std::string_view meaning;  ///< one line for the manual
};

/// In the order in which a plugin meets them.
std::span<const ReasonCode> reason_codes();

/// Thrown inside the loader: this plugin is not used. `code` is one of the table.
class Rejection {
 public:
  Rejection(std::string_view code, std::string reason);
  const std::string& code() const { return code_; }
  const std::string& reason() const { return reason_; }

 private:
  std::string code_;
  std::string reason_;
};

}  // namespace backplane::host
