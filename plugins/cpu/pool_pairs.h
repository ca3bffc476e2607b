// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "op.h"
#include "work.h"

namespace backplane::cpu {

/// A maximum over 2 x 2 windows side by side, f32 with dense rows, forward or gradient.
bool is_pool_pairs(const Op& op);
std::shared_ptr<Work> make_pool_pairs(const Op& op);

}  // namespace backplane::cpu
