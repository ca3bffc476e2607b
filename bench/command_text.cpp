// SPDX-License-Identifier: Apache-2.0
#include "command_text.h"

#include <string_view>

namespace backplane::bench {

std::string quoted(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string result = "'";
  for (char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string case_command(const std::string& line, const std::string& device, const std::string& variants,
                         const std::optional<std::string>& peers) {
  return "backplane bench" + (peers ? " peers" + *peers : "") + " --devices " + quoted(device) + " --case " +
         quoted(line) + (variants.empty() ? "" : " --variants " + quoted(variants));
}

}  // namespace backplane::bench
