// SPDX-License-Identifier: Apache-2.0
// Ctrl-C during long work: the first one asks it to end well, the second one kills.
#pragma once

#include <atomic>

namespace backplane::cli {

/// From now on the first SIGINT sets interrupted().
void catch_interrupt();
const std::atomic<bool>& interrupted();

}  // namespace backplane::cli
