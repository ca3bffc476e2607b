// SPDX-License-Identifier: Apache-2.0
#include "backplane/autotune/policy.h"

#include <charconv>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"

namespace backplane::autotune {
namespace {

[[noreturn]] void refuse(const char* variable, const std::string& value, const char* what) {
  throw host::Error(BP_E_INVALID_ARGUMENT, "[environment] " + std::string(variable) + "='" + value + "' is " + what);
}

uint32_t math_of(const std::string& text) {
  if (text == "strict") return BP_MATH_STRICT;
  if (text == "tf32") return BP_MATH_TF32;
  if (text == "fast") return BP_MATH_FAST;
  refuse("BACKPLANE_MATH", text, "none of strict, tf32, fast");
}

uint64_t mebibytes(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > (UINT64_MAX >> 20) - 1) {
    refuse("BACKPLANE_MAX_WORKSPACE_MB", text, "no number of MiB");
  }
  return value << 20;
}

}  // namespace

Policy Policy::from_environment() {
  Policy policy;
  if (const auto text = host::environment("BACKPLANE_MATH")) policy.math_mode = math_of(*text);
  if (const auto text = host::environment("BACKPLANE_DETERMINISTIC")) {
    if (*text != "0" && *text != "1") refuse("BACKPLANE_DETERMINISTIC", *text, "neither 0 nor 1");
    policy.deterministic = *text == "1";
  }
  if (const auto text = host::environment("BACKPLANE_MAX_WORKSPACE_MB")) policy.max_workspace = mebibytes(*text);
  return policy;
}

}  // namespace backplane::autotune
