// SPDX-License-Identifier: Apache-2.0
// A failure reported by a plugin or by the loader, as a C++ exception.
#pragma once

#include <stdexcept>
#include <string>

#include "backplane/plugin.h"

namespace backplane::host {

class Error : public std::runtime_error {
 public:
  Error(bp_status code, const std::string& message, uint32_t scope = BP_SCOPE_CALL, uint32_t flags = 0)
      : std::runtime_error(message), code_(code), scope_(scope), flags_(flags) {}

  bp_status code() const { return code_; }
  uint32_t scope() const { return scope_; }
  bool retryable() const { return (flags_ & BP_ERROR_RETRYABLE) != 0; }

 private:
  bp_status code_;
  uint32_t scope_;
  uint32_t flags_;
};

/// "out of device memory" for BP_E_OUT_OF_MEMORY and so on.
const char* status_text(bp_status status);

/// A bp_error ready to be passed to a plugin.
inline bp_error make_error() {
  bp_error error{};
  error.size = sizeof(bp_error);
  return error;
}

/// Throws Error when `status` is a failure. `where` names the call ("cpu:0: prepare matmul").
void check(bp_status status, const bp_error& error, const std::string& where);

}  // namespace backplane::host
