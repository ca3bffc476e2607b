// SPDX-License-Identifier: Apache-2.0
// The optional interfaces that the SDK writes no thunks for.
#pragma once

#include "backplane/plugin.h"

namespace backplane::vulkan {

const bp_timing_api& timing_interface();

}  // namespace backplane::vulkan
