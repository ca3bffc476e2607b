// SPDX-License-Identifier: Apache-2.0
// `backplane train --replicas`: a trainer whose step several devices share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backplane/compile.h"
#include "backplane/parallel.h"
#include "cli/command.h"
#include "cli/trainer.h"

namespace backplane::cli {

/// Opens the devices of --replicas, the first of which becomes the default one. Throws CommandError(device).
std::vector<Device> use_replicas(const std::vector<std::string>& selectors);

class ReplicatedTrainer final : public Trainer {
 public:
  /// `model`, which lies on the first device, becomes the first replica; `make` makes the others. Throws
  /// CommandError(usage) when the devices cannot work together as `o` asks for.
  ReplicatedTrainer(const TrainOptions& o, const std::vector<Device>& devices, nn::Sequential& model,
                    const std::function<nn::Sequential()>& make, double learning_rate);
  Tensor step(const Tensor& images, const Tensor& labels) override;
  Tensor correct(const Tensor& images, const Tensor& labels) override;
  void set_learning_rate(double rate) override;
  std::pair<size_t, size_t> node_counts() const override;

  std::string describe() const { return training_->describe(); }
  /// What train --json says about it.
  nlohmann::ordered_json to_json() const;

 private:
  CompiledFunction correct_;
  std::unique_ptr<parallel::DataParallel> training_;
};

}  // namespace backplane::cli
