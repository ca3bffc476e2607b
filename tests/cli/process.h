// SPDX-License-Identifier: Apache-2.0
// Runs the command `backplane` as a user would and keeps what it said.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace backplane::tests {

struct Result {
  int code = -1;  ///< exit code; 128 + signal when it was killed
  int signal = 0;
  std::string out, err;
  nlohmann::json json() const;  ///< of stdout; fails the test when it does not parse
};

struct RunOptions {
  std::map<std::string, std::string> environment;  ///< added to this process's; an empty value unsets
  std::chrono::milliseconds interrupt_after{0};    ///< send SIGINT after stderr or stdout has something and this long
  std::chrono::seconds limit{120};                 ///< then it is killed
  bool terminal = false;                           ///< stdout and stderr are one pseudo-terminal, read into `out`
};

/// `arguments` without the program.
Result run_backplane(const std::vector<std::string>& arguments, const RunOptions& options = {});

}  // namespace backplane::tests
