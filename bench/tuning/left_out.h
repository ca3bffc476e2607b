// SPDX-License-Identifier: Apache-2.0
// What a look-up answers for shapes that were never measured: each fifth of the shapes in turn is left out of a copy of
// the store, asked for, and judged by what all variants took in the rows of `file`, or take now where those did not race
// one.
#pragma once

#include <string>

#include "backplane/host/device.h"

namespace backplane::bench {

/// Prints one line of JSON per shape.
int judge_left_out(const host::DevicePtr& device, const std::string& file);

}  // namespace backplane::bench
