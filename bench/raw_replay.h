// SPDX-License-Identifier: Apache-2.0
// The least that a driver asks for a recorded chain of small dependent kernels, written against its API alone: what a
// replay of ours is compared with.
#pragma once

#include <string>

#include "measure.h"

namespace backplane::bench {

/// Replays `dispatches` additions of 16 floats, each after the one before it, and waits. Empty where there is none for the
/// plugin; throws std::runtime_error when the driver declines. `device` is the device's name.
Call raw_replay(const std::string& plugin, const std::string& device, int dispatches);

}  // namespace backplane::bench
