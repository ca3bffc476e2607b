// SPDX-License-Identifier: Apache-2.0
#include "cli/replicas.h"

#include "backplane/backplane.h"

namespace backplane::cli {

std::vector<Device> use_replicas(const std::vector<std::string>& selectors) {
  std::vector<Device> devices;
  try {
    for (const std::string& each : selectors) devices.emplace_back(each);
  } catch (const std::exception& error) {
    throw CommandError(ExitCode::device, error.what());
  }
  set_default_device(devices.front());
  return devices;
}

ReplicatedTrainer::ReplicatedTrainer(const TrainOptions& o, const std::vector<Device>& devices, nn::Sequential& model,
                                     const std::function<nn::Sequential()>& make, double learning_rate)
    : correct_([&model](std::span<const Tensor> batch) {
        return std::vector<Tensor>{count_correct(model, batch[0], batch[1])};
      }) {
  if (o.mode == "symbolic") {
    throw CommandError(ExitCode::usage, "[train] replicas train in the modes eager and compiled, not symbolic");
  }
  bool first = true;
  const auto replica = [&] {
    const auto own = std::make_shared<nn::Sequential>(first ? model : make());
    first = false;
    return parallel::Replica{
        own, std::make_shared<optim::Adam>(nn::parameters(*own), optim::AdamOptions{.learning_rate = learning_rate}),
        [own](std::span<const Tensor> batch) { return sparse_cross_entropy((*own)(batch[0]), batch[1]); }};
  };
  try {
    training_ = std::make_unique<parallel::DataParallel>(
        devices, replica,
        parallel::DataParallelOptions{.reduction = parallel::reduction_from(o.reduction),
                                      .compiled = o.mode == "compiled"});
  } catch (const parallel::RankError&) {
    throw;
  } catch (const Error& error) {
    throw CommandError(ExitCode::usage, error.what());
  }
}

Tensor ReplicatedTrainer::step(const Tensor& images, const Tensor& labels) { return training_->step({images, labels}); }

Tensor ReplicatedTrainer::correct(const Tensor& images, const Tensor& labels) {
  const Tensor batch[] = {images, labels};
  return correct_.run(batch).front();
}

void ReplicatedTrainer::set_learning_rate(double rate) { training_->set_learning_rate(rate); }

std::pair<size_t, size_t> ReplicatedTrainer::node_counts() const { return training_->node_counts(); }

nlohmann::ordered_json ReplicatedTrainer::to_json() const {
  const parallel::Group& group = training_->group();
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (uint32_t r = 0; r < group.size(); ++r) names.push_back(group.device(r).name());
  return {{"devices", names},
          {"reduction", parallel::to_string(group.reduction())},
          {"update", parallel::to_string(training_->update())}};
}

}  // namespace backplane::cli
