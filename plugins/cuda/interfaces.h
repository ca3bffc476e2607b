// SPDX-License-Identifier: Apache-2.0
// The table of bp.timing.
#pragma once

#include "backplane/plugin.h"

namespace backplane::cuda {

const bp_timing_api& timing_interface();

}  // namespace backplane::cuda
