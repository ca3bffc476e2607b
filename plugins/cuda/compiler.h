// SPDX-License-Identifier: Apache-2.0
// NVIDIA's run-time compiler (libnvrtc), opened at run time: kernel text to code for one compute capability.
#pragma once

#include <string>
#include <vector>

#include "backplane/sdk/negotiate.hpp"

namespace backplane::cuda {

/// [any] thread.
class Compiler {
 public:
  /// Setting `cuda.nvrtc`, or the newest libnvrtc.so that is found. Never throws: see problem().
  explicit Compiler(const sdk::Host& host);

  /// Why there is no compiler, or empty.
  const std::string& problem() const { return problem_; }
  /// What compiled code depends on beside its text.
  const std::string& version() const { return version_; }

  /// A cubin for compute capability `major`.`minor`; PTX, with a NUL at its end, for the newest one below it that this
  /// compiler knows when it does not know that one. Throws BP_E_COMPILE with the compiler's messages.
  std::vector<char> compile(const std::string& name, const std::string& text, int major, int minor) const;

 private:
  struct Api;
  const Api* api_ = nullptr;
  std::string problem_, version_;
  std::vector<int> architectures_;  // 75, 80, ...
};

}  // namespace backplane::cuda
