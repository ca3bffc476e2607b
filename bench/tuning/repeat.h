// SPDX-License-Identifier: Apache-2.0
// Whether a miss is the race's or the machine's: the same shape tuned again and again, with the oracle in between.
#pragma once

#include <string>

#include "backplane/autotune/tuner.h"

namespace backplane::bench {

/// Every case named in `cases` (separated by ';') `times` times: a tuning that is not kept, then the oracle. Each of
/// the oracle's races judges the tuning before it and its own last race alike: what the oracle named best then is what
/// a tuner without any fault could have chosen. Prints one line of JSON per case.
int repeat_cases(autotune::Tuner& tuner, const std::string& cases, int times);

}  // namespace backplane::bench
