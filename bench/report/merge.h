// SPDX-License-Identifier: Apache-2.0
// Several runs as one: measurements of the same rows, of one build or repeated within a file, and sweeps of several
// devices and suites that belong on one page.
#pragma once

#include <vector>

#include "report/results.h"

namespace backplane::bench::report {

/// Rows with one identity become one, each measurement a stretch of its own: what differs from one to the next counts
/// as noise. Those that a quiet machine made stand, where there are any. In the order of their first rows.
void merge_repetitions(Run& run);

/// All of one build; environment and devices are the first one's, the noise floor is that of their mean. At least one.
Run joined(std::vector<Run> runs);

/// One run of all devices and rows, with a part for each. Of rows with one identity the newer one stands, unless it
/// only says that it was left out; of ceilings, too. Devices are in the order of `runs`; one that is another than its
/// namesake of an older part (on another machine, with another driver) is "cpu:0 (2)". At least one.
Run combined(std::vector<Run> runs);

}  // namespace backplane::bench::report
