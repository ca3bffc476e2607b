// SPDX-License-Identifier: Apache-2.0
#include "backplane/nn/init.h"

#include <cmath>

#include "backplane/host_random.h"

namespace backplane::nn::init {

Fans fans(const Shape& weight) {
  if (weight.rank() < 2) {
    fail("nn::init", "a weight of shape " + weight.to_string() + " has no fan-in and fan-out", {}, {},
         "use uniform(), normal() or zeros() for vectors");
  }
  if (weight.rank() == 2) return {weight[0], weight[1]};
  int64_t receptive = 1;
  for (int axis = 2; axis < weight.rank(); ++axis) receptive *= weight[axis];
  return {weight[1] * receptive, weight[0] * receptive};
}

Tensor constant(const Shape& shape, double value) {
  return Tensor::from(std::vector<float>(static_cast<size_t>(shape.elements()), static_cast<float>(value)), shape);
}

Tensor zeros(const Shape& shape) { return constant(shape, 0); }

Tensor uniform(const Shape& shape, double low, double high) {
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  host_uniform(next_host_random_key(), values);
  for (float& v : values) v = static_cast<float>(low + (high - low) * v);
  return Tensor::from(values, shape);
}

Tensor normal(const Shape& shape, double mean, double deviation) {
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  host_normal(next_host_random_key(), values);
  for (float& v : values) v = static_cast<float>(mean + deviation * v);
  return Tensor::from(values, shape);
}

// A uniform distribution over [-a, a) has variance a^2 / 3.
Tensor xavier_uniform(const Shape& shape, double gain) {
  const Fans f = fans(shape);
  const double a = gain * std::sqrt(6.0 / static_cast<double>(f.in + f.out));
  return uniform(shape, -a, a);
}

Tensor xavier_normal(const Shape& shape, double gain) {
  const Fans f = fans(shape);
  return normal(shape, 0, gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out)));
}

Tensor he_uniform(const Shape& shape, double gain) {
  const double a = gain * std::sqrt(3.0 / static_cast<double>(fans(shape).in));
  return uniform(shape, -a, a);
}

Tensor he_normal(const Shape& shape, double gain) {
  return normal(shape, 0, gain / std::sqrt(static_cast<double>(fans(shape).in)));
}

}  // namespace backplane::nn::init
