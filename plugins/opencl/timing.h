// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backplane/plugin.h"

namespace backplane::opencl {

/// bp.timing: a stamp is a marker in the queue, its tick the nanosecond at which the driver says it was done.
const bp_timing_api& timing_interface();

}  // namespace backplane::opencl
