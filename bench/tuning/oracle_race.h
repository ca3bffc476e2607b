// SPDX-License-Identifier: Apache-2.0
// What the best variant really is, found without the tuner: everything right is looked at, and whatever could be the
// best is timed in turns, as a replayed program runs it: one launch behind the other, awake, and one wait at the end.
//
// The variant that was fastest in some rounds was also lucky in them. So the even rounds name the best, and the odd
// ones say by how much anything else is slower (which may come out below zero by noise; it is kept so).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels.h"

namespace backplane::bench {

struct OracleOptions {
  double budget_s = 0.7;  ///< for the rounds
  int rounds = 100;       ///< at most
  int64_t sample_ns = 1'000'000;
  double chance = 1.5;    ///< x the best at first sight: not timed in turns
  size_t racers = 8;      ///< at most, the named ones included
};

struct OracleResult {
  std::string best;
  int rounds = 0;
  double best_ns = 0;                   ///< median
  /// ln(time / time of the best): of racers in the odd rounds, of the others at first sight.
  std::map<std::string, double> ratio;
  std::map<std::string, bool> raced;
};

/// `named` are timed in turns whatever they do at first sight; `wrong` are not looked at.
OracleResult race_all(const std::shared_ptr<const Operands>& operands, const std::vector<std::string>& named,
                      const std::vector<std::string>& wrong, const OracleOptions& options = {});

}  // namespace backplane::bench
