// SPDX-License-Identifier: Apache-2.0
// One training step, said in each of the three ways.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "backplane/nn.h"
#include "backplane/optim.h"

namespace backplane::cli {

/// images f32[N, C, H, W] and labels i32[N]; borrows model and optimiser.
class Trainer {
 public:
  virtual ~Trainer() = default;
  /// Updates the weights; gives the batch's mean loss, which is not waited for.
  virtual Tensor step(const Tensor& images, const Tensor& labels) = 0;
  /// Number of images classified correctly, i32 scalar.
  virtual Tensor correct(const Tensor& images, const Tensor& labels) = 0;
  virtual void set_learning_rate(double rate) = 0;
  /// Launches of one training step: on the device, and on the host fallback.
  virtual std::pair<size_t, size_t> node_counts() const = 0;
};

/// `mode` is eager, symbolic or compiled.
std::unique_ptr<Trainer> make_trainer(std::string_view mode, nn::Sequential& model, optim::Optimizer& optimizer,
                                      const Shape& image);

/// The parts of a step, as compile() takes them.
Tensor train_step(nn::Sequential& model, optim::Optimizer& optimizer, const Tensor& images, const Tensor& labels);
Tensor count_correct(const nn::Sequential& model, const Tensor& images, const Tensor& labels);

}  // namespace backplane::cli
