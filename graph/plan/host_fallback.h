// SPDX-License-Identifier: Apache-2.0
// A launch that the device declined, run on another device: operands are copied there and results back.
#pragma once

#include <span>

#include "backplane/graph/runtime.h"
#include "plan/lowering.h"

namespace backplane::graph {

/// `views`: the launch's inputs, then its outputs, on `device`. Waits for `device`. The fallback's status and error.
bp_status run_on_host(const Launch& launch, std::span<const bp_view> views, Stream& device, Stream& fallback,
                      bp_error* error);

}  // namespace backplane::graph
