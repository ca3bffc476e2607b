// SPDX-License-Identifier: Apache-2.0
// One training program said in each of the three ways, for small models on made-up data.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backplane/backplane.h"
#include "backplane/nn.h"
#include "backplane/optim.h"

namespace backplane::tests {

enum class Mode { eager, symbolic, captured };
inline const char* name_of(Mode mode) {
  constexpr const char* kNames[] = {"eager", "symbolic", "captured"};
  return kNames[static_cast<int>(mode)];
}

/// images[N, ...] and labels i32[N] in host memory, one entry per step.
struct Batch {
  std::vector<float> images;
  std::vector<int32_t> labels;
};
/// Points around `classes` random centres; the same on every machine.
std::vector<Batch> make_batches(int64_t steps, int64_t batch, int64_t features, int32_t classes, uint64_t seed);

struct Program {
  std::function<nn::Sequential()> model;
  std::function<std::unique_ptr<optim::Optimizer>(std::vector<Variable>)> optimizer;
  Shape image;  ///< one example
};
struct Outcome {
  std::vector<double> losses;
  /// All variables, optimiser state included, by name.
  std::vector<std::pair<std::string, std::vector<std::byte>>> variables;
  std::vector<std::pair<std::string, std::vector<float>>> weights;
  std::pair<size_t, size_t> nodes;  ///< of one step: on the device, on the fallback
};
/// Starts from seed 5 on the default device.
Outcome train(const Program& program, Mode mode, const std::vector<Batch>& batches);

}  // namespace backplane::tests
