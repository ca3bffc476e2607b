// SPDX-License-Identifier: Apache-2.0
// The operations whose kernels are compiled when the plugin is built: one or two of each family with a fixed form, on
// dense f32, as common models ask for them. Shapes are parameters of most kernels, so that other shapes hit as well.
#pragma once

#include <functional>

#include "backplane/plugin.h"

namespace backplane::vulkan {

void for_each_common_operation(const std::function<void(const bp_op& op)>& visit);

}  // namespace backplane::vulkan
