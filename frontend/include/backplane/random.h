// SPDX-License-Identifier: Apache-2.0
// Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11), so every device
// gives the same ones. The state is a Variable: a compiled step draws new numbers in each call.
#pragma once

#include "backplane/functions.h"
#include "backplane/variable.h"

namespace backplane {

/// Starts the default generator anew.
void manual_seed(uint64_t seed);
/// The key for one draw (i32[4]: seed, offset), advancing the generator.
Tensor next_random_key();

Tensor random_uniform(const Shape& shape, double low = 0, double high = 1, DType dtype = f32);
Tensor random_normal(const Shape& shape, double mean = 0, double deviation = 1, DType dtype = f32);
/// Zeroes each element with probability `rate` and scales the others by 1 / (1 - rate).
Tensor dropout(const In& x, double rate);

}  // namespace backplane
