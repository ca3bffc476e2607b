// SPDX-License-Identifier: Apache-2.0
// The same launches timed in several ways, in turns: whether tuner and oracle measure the same thing, and whether that
// is what a program feels, which replays its launches one behind the other and waits once at the end.
//
//   device  the tuner's: launches go before in the same queue, the device's clock around those that count
//   host    the same, by the host's clock
//   replay  64 launches recorded once, each replay with its wait by the host's clock; where the device records
//   pause   nothing for 300 us, one launch and its wait, then the host's clock around those that count and one wait
//   awake   as pause, but with half as many launches before as count, instead of one
//   apart   each launch with a wait of its own
#pragma once

#include <string>

#include "backplane/host/device.h"

namespace backplane::bench {

/// Prints one line of JSON for each case: microseconds of one launch and ratio to the default, both medians, for the
/// default and every variant that takes at most twice as long as the fastest.
int compare_ways(const host::DevicePtr& device, const std::string& cases, int rounds);

}  // namespace backplane::bench
