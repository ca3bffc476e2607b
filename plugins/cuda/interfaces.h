// SPDX-License-Identifier: Apache-2.0
// The tables of bp.capture and bp.timing.
#pragma once

#include "backplane/plugin.h"

namespace backplane::cuda {

const bp_capture_api& capture_interface();
const bp_timing_api& timing_interface();

}  // namespace backplane::cuda
