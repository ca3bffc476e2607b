// SPDX-License-Identifier: Apache-2.0
// Several measurements of the same rows as one: runs of one build, or repetitions within a file.
#pragma once

#include <vector>

#include "report/results.h"

namespace backplane::bench::report {

/// Rows with one identity become one, each measurement a stretch of its own: what differs from one to the next counts
/// as noise. Those that a quiet machine made stand, where there are any. In the order of their first rows.
void merge_repetitions(Run& run);

/// All of one build; environment and devices are the first one's, the noise floor is that of their mean. At least one.
Run joined(std::vector<Run> runs);

}  // namespace backplane::bench::report
