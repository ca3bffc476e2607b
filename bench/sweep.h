// SPDX-License-Identifier: Apache-2.0
// A sweep from its options to its files: cases of the suites x devices x variants, registered in Google Benchmark, one
// row each.
//
// Each row that is finished is appended to results.jsonl at once, so an interrupted sweep is continued by --resume; the
// other forms are written at the end. A device that is lost ends its own rows, and the sweep goes on with the others.
// What crashes or hangs ends this process; supervise.h starts the next one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attempt.h"

namespace backplane::bench {

struct SweepOptions {
  std::vector<std::string> suites;    ///< empty: smoke, or ops when `ops` says which
  std::vector<std::string> cases;     ///< lines of suites, instead of those
  std::vector<std::string> devices = {"all"};
  std::vector<std::string> ops, dtypes;  ///< empty: as the suites say
  std::string shapes;                    ///< "M=64-4096*2,N=M"
  std::string variants = "default,tuned";
  std::string filter;                 ///< regular expression over the rows' identities
  std::optional<double> budget_s;
  std::string output = "backplane-bench";
  bool resume = false, list = false, ceilings = true;
  bool peers = false;                       ///< beside what a user would pick instead
  std::vector<std::string> peer_libraries;  ///< more of those
  std::vector<std::string> peer_devices;    ///< selectors of devices that are peers of the others
  std::string command_line;
  double limit_s = 120;  ///< for one variant or one measurement; what takes longer hangs
  std::string turns;  ///< FILE:0 or FILE:1, with a process that measures the same (turns.h)
  std::string slow;  ///< "matmul.*=1.1": rows of that pattern take so much longer, by doing calls again
  // Set by supervise().
  int64_t start_ns = 0;  ///< of the first process
  std::vector<Incident> incidents;
};

/// Exit code. Throws Error for options that make no sense.
int run_sweep(const SweepOptions& options);

}  // namespace backplane::bench
