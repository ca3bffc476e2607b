// SPDX-License-Identifier: Apache-2.0
// A sweep in a child process: what crashes it or never ends takes that process down and no more.
//
// The child says what it is at (attempt.h) and keeps finished rows in its file (journal.h). When it dies, or is at one
// thing for longer than the limit and is killed, another child goes on with the rest, and knows what to leave out. A
// device that does this again and again is given up. What dies outside of any row, such as in a driver that is opened,
// ends the sweep with the reason.
#pragma once

#include <functional>

#include "sweep.h"

namespace backplane::bench {

/// `sweep` runs in the child and returns its exit code; so does this.
int supervise(SweepOptions options, const std::function<int(const SweepOptions&)>& sweep);

}  // namespace backplane::bench
