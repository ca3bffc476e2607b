// SPDX-License-Identifier: Apache-2.0
// Initial values of weights: f32 tensors on the default device, drawn on the host, so every device starts from the
// same bits. manual_seed() makes them repeatable.
//   Xavier (Glorot and Bengio 2010): variance gain^2 * 2 / (in + out), for tanh, sigmoid and linear outputs
//   He (He et al. 2015):             variance gain^2 / in, gain sqrt(2) for relu
#pragma once

#include "backplane/tensor.h"

namespace backplane::nn::init {

/// How many values a weight sums over, and how many it feeds.
struct Fans {
  int64_t in = 1, out = 1;
};
/// Of a matrix [in, out], or of a filter [out, in, k...] whose receptive field multiplies both. Throws Error for rank
/// < 2.
Fans fans(const Shape& weight);

Tensor zeros(const Shape& shape);
Tensor constant(const Shape& shape, double value);
Tensor uniform(const Shape& shape, double low, double high);
Tensor normal(const Shape& shape, double mean, double deviation);
Tensor xavier_uniform(const Shape& shape, double gain = 1);
Tensor xavier_normal(const Shape& shape, double gain = 1);
inline constexpr double kReluGain = 1.4142135623730951;
Tensor he_uniform(const Shape& shape, double gain = kReluGain);
Tensor he_normal(const Shape& shape, double gain = kReluGain);

}  // namespace backplane::nn::init
