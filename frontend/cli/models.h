// SPDX-License-Identifier: Apache-2.0
// The classifiers that `backplane train` knows.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/nn.h"

namespace backplane::cli {

struct ImageShape {
  int64_t channels = 1, height = 28, width = 28, classes = 10;
};

struct ModelEntry {
  std::string_view name;
  std::string_view description;
  double learning_rate;  ///< for Adam with batches of about 64
  nn::Sequential (*make)(const ImageShape& image);
};

/// images[N, C, H, W] -> logits[N, classes]
const ModelEntry& find_model(std::string_view name);
std::vector<std::string> model_names();

}  // namespace backplane::cli
