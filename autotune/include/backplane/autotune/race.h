// SPDX-License-Identifier: Apache-2.0
// Measure all variants of one operation on one device and choose: check first, race the right ones, pick.
//
// Stages: candidates (variants that the policy allows, in the order of what is expected of them) -> gate (gate.h: right
// results, nothing written elsewhere, the same bits again) -> race (contest.h: paired and interleaved, until the losers
// are out) -> confirmation on fresh samples -> a last check of the winner on other inputs. The default wins unless
// another is provably more than 2 % faster.
//
// It does not remember anything (store.h does), knows no graph, and runs in the calling thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backplane/autotune/outcome.h"
#include "backplane/host/device.h"

namespace backplane::autotune {

struct Progress {
  const char* stage = "";   ///< "check", "race", "confirm"
  std::string variant;      ///< the one at work; empty in a race
  size_t done = 0, of = 0;  ///< candidates checked; rounds raced
  uint64_t spent_ns = 0, budget_ns = 0;
  uint64_t build_ns = 0;    ///< off the budget so far: builds and right results
};

/// Test hook: what is done to every measured time. The choice changes, nothing else may.
enum class Distortion { none, inverse, random };

/// Whether a variant is harmless: `raced`, or what is wrong with it, with `reason`. `over_budget` when `limit_ns` did
/// not suffice to tell.
using TryRisky =
    std::function<Verdict(const bp_op& op, const std::string& variant, uint64_t limit_ns, std::string& reason)>;

struct Request {
  uint64_t budget_ns = 500'000'000;           ///< launches and checks; overrun by at most one launch
  uint64_t build_budget_ns = 20'000'000'000;  ///< preparing, all variants together; checked before each
  uint64_t total_ns = UINT64_MAX;             ///< with builds and right results; overrun by at most one of those
  uint64_t max_build_ns = 10'000'000'000;     ///< a variant that takes longer to prepare is `slow_build`
  uint64_t hang_ns = 10'000'000'000;          ///< a launch that takes longer is given up as `hung`
  uint64_t seed = 1;                          ///< of inputs and of the order within rounds
  std::string incumbent;                      ///< variant chosen before; empty: none. Leaves only for a proven gain
  std::map<std::string, double> priors;  ///< variant -> expected time in ns (or any common unit), tried in this order
  /// What is known of variants whose code has not changed since, relative to the same default: not run again, and not
  /// chosen.
  std::vector<Candidate> kept;
  std::map<std::string, Failure> blocked;  ///< variant -> what it did in an earlier tuning; not tried again
  /// Right results come from here (the reference device). Null, or when it does not do the op: the variants have to
  /// agree with the device's default.
  host::DevicePtr oracle;
  /// Values of the inputs' memory, from its lowest element to its highest; empty: random ones that suit the op.
  std::vector<std::vector<std::byte>> inputs;
  /// Variants with BP_VARIANT_RISKY are first tried by this, in a child process (trial.h). Null: they are skipped.
  TryRisky try_risky;
  /// A process died while variants of this problem raced, and none was at fault before: all but the default are risky.
  bool suspicious = false;
  const std::atomic<bool>* cancelled = nullptr;  ///< looked at before each launch
  std::function<void(const Progress&)> progress;
  std::function<int64_t()> now_ns;  ///< clock of the budget; null: the host's monotonic clock
  Distortion distortion = Distortion::none;
};

/// The policy is the op's: math_mode, deterministic, max_workspace. Throws host::Error when the device does not do the
/// op.
Outcome tune(const host::DevicePtr& device, const bp_op& op, const Request& request = {});

/// What tune() takes when it is given no inputs: random values that suit the operation, each input's memory from its
/// lowest element to its highest. What has to be another operation's result is computed by `oracle`.
std::vector<std::vector<std::byte>> suitable_inputs(const host::DevicePtr& oracle, const bp_op& op, uint64_t seed);

}  // namespace backplane::autotune
