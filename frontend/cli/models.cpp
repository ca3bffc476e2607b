// SPDX-License-Identifier: Apache-2.0
#include "cli/models.h"

#include "cli/command.h"

namespace backplane::cli {
namespace {

nn::Sequential logistic(const ImageShape& image) {
  return nn::Sequential(nn::Flatten(), nn::Linear(image.channels * image.height * image.width, image.classes));
}

nn::Sequential mlp(const ImageShape& image) {
  return nn::Sequential(nn::Flatten(), nn::Linear(image.channels * image.height * image.width, 256), nn::ReLU(),
                        nn::Linear(256, 128), nn::ReLU(), nn::Linear(128, image.classes));
}

/// Two blocks of convolution, rectifier and pooling, then a linear layer.
nn::Sequential cnn(const ImageShape& image) {
  constexpr int64_t kFirst = 32, kSecond = 64;
  return nn::Sequential(nn::Conv2d(image.channels, kFirst, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Conv2d(kFirst, kSecond, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                        nn::Linear(kSecond * (image.height / 4) * (image.width / 4), image.classes));
}

constexpr ModelEntry kModels[] = {
    {"logistic", "one linear layer", 1e-3, logistic},
    {"mlp", "784-256-128-10 with rectifiers", 1e-3, mlp},
    {"cnn", "two blocks of 3x3 convolution, rectifier and 2x2 max pooling, then a linear layer", 2e-3, cnn},
};

}  // namespace

const ModelEntry& find_model(std::string_view name) {
  for (const ModelEntry& entry : kModels) {
    if (entry.name == name) return entry;
  }
  throw CommandError(ExitCode::usage, "[train] there is no model '" + std::string(name) + "'");
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelEntry& entry : kModels) names.emplace_back(entry.name);
  return names;
}

}  // namespace backplane::cli
