// SPDX-License-Identifier: Apache-2.0
// `backplane bench ab`: two builds measure the same rows at the same time, in processes that take turns every few
// hundredths of a second (turns.h), again and again until each row is known to be slower, faster or the same, or the
// rounds are used up. report/paired.h decides.
//
// It measures nothing itself: it starts `backplane-bench` of either build and reads the results.
#pragma once

#include <string>
#include <vector>

namespace backplane::bench {

/// `arguments` behind "ab". Returns the exit code of `compare`; throws Error for arguments without sense and
/// cli::CommandError when a run fails.
int ab_main(std::vector<std::string> arguments);

}  // namespace backplane::bench
