// SPDX-License-Identifier: Apache-2.0
// The small models and optimisers that the tests of this folder train.
#pragma once

#include "models/training.h"

namespace backplane::tests {

constexpr int64_t kFeatures = 20;
constexpr int32_t kClasses = 4;

inline nn::Sequential small_mlp() {
  return nn::Sequential(nn::Linear(kFeatures, 16), nn::ReLU(), nn::Linear(16, 9), nn::Tanh(),
                        nn::Linear(9, kClasses));
}
/// For images[N, 1, 8, 8].
inline nn::Sequential small_cnn() {
  return nn::Sequential(nn::Conv2d(1, 6, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(6, 8, 3),
                        nn::ReLU(), nn::AvgPool2d(2), nn::Flatten(), nn::Linear(8, kClasses));
}

template <class T, class Options>
std::function<std::unique_ptr<optim::Optimizer>(std::vector<Variable>)> optimizer_of(Options options) {
  return [options](std::vector<Variable> parameters) { return std::make_unique<T>(std::move(parameters), options); };
}

}  // namespace backplane::tests
