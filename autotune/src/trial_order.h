// SPDX-License-Identifier: Apache-2.0
// What the host and backplane-trial say to one another: the order in one argument, as JSON; back come lines "stage
// NAME" before each step, so that a crash has a place, and at the end "result VERDICT REASON".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace backplane::autotune {

struct TrialOrder {
  std::vector<std::string> directories;  ///< of the plugins
  std::string allow;                     ///< names of the plugins
  std::string device, oracle;            ///< selectors; no oracle: empty
  std::string op;                        ///< op_to_json()
  std::string variant;
  uint64_t build_ns = 0, hang_ns = 0, seed = 1;
};
std::string to_json(const TrialOrder& order);
TrialOrder trial_order_from_json(const std::string& text);

namespace stage {
inline constexpr char kOpen[] = "open", kOracle[] = "oracle", kBuild[] = "build", kRun[] = "run";
}

/// For everything together, when it is given up from outside: beyond what the child's own timers allow.
inline constexpr uint64_t kTrialSlackNs = 60'000'000'000;

}  // namespace backplane::autotune
