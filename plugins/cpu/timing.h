// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backplane/plugin.h"

namespace backplane::cpu {

/// bp.timing over CLOCK_MONOTONIC: work is done when enqueue returns, so a stamp is the clock's reading.
const bp_timing_api& timing_interface();

}  // namespace backplane::cpu
