// SPDX-License-Identifier: Apache-2.0
// Small models trained on several devices: what came of it, and the same on one device.
#pragma once

#include <ostream>

#include "backplane/parallel.h"
#include "models/programs.h"

namespace backplane::tests {

/// Devices that tests of this folder train on, and who adds up.
struct Crew {
  std::vector<std::string> devices;
  parallel::Reduction reduction = parallel::Reduction::host;
};
/// "host_cpu_opencl": part of the tests' names.
inline std::string text_of(const Crew& crew) {
  std::string text(parallel::to_string(crew.reduction));
  for (const std::string& device : crew.devices) text += "_" + device.substr(0, device.find(':'));
  return text;
}
inline void PrintTo(const Crew& crew, std::ostream* out) { *out << text_of(crew); }
inline std::vector<Device> open(const Crew& crew) { return {crew.devices.begin(), crew.devices.end()}; }

using OptimizerOf = std::function<std::shared_ptr<optim::Optimizer>(std::vector<Variable>)>;
using ModelOf = std::function<nn::Sequential()>;

inline OptimizerOf sgd() {
  return [](std::vector<Variable> parameters) {
    return std::make_shared<optim::SGD>(std::move(parameters),
                                        optim::SgdOptions{.learning_rate = 0.05, .momentum = 0.9});
  };
}
inline OptimizerOf adam() {
  return [](std::vector<Variable> parameters) {
    return std::make_shared<optim::Adam>(std::move(parameters), optim::AdamOptions{.learning_rate = 0.01});
  };
}

inline Tensor mean_loss(const nn::Sequential& model, std::span<const Tensor> batch) {
  return sparse_cross_entropy(model(batch[0]), batch[1]);
}
inline std::function<parallel::Replica()> replicas_of(ModelOf model, OptimizerOf optimizer) {
  return [=] {
    const auto own = std::make_shared<nn::Sequential>(model());
    return parallel::Replica{own, optimizer(nn::parameters(*own)),
                             [own](std::span<const Tensor> batch) { return mean_loss(*own, batch); }};
  };
}

inline std::vector<Tensor> tensors_of(const Batch& batch, const Shape& image, const Device& device) {
  const auto samples = static_cast<int64_t>(batch.labels.size());
  Shape shape{samples};
  for (const int64_t extent : image) shape.push_back(extent);
  return {Tensor::from(batch.images, shape, device), Tensor::from(batch.labels, {samples}, device)};
}

/// Bytes of every variable of a replica: what it trains, what else its model holds, and, when it takes steps of its
/// own, its optimiser's state.
inline std::vector<std::vector<std::byte>> bits_of(const parallel::DataParallel& training, uint32_t rank) {
  const parallel::Replica& replica = training.replica(rank);
  std::vector<std::vector<std::byte>> bits;
  for (const nn::NamedVariable& each : nn::named_variables(*replica.model))
    bits.push_back(each.variable.read().to_bytes());
  if (training.update() == parallel::Update::once) return bits;
  for (const Variable& each : replica.optimizer->state()) bits.push_back(each.read().to_bytes());
  return bits;
}

/// Losses and final parameters of training on one device with whole batches, from seed 5.
struct Alone {
  std::vector<double> losses;
  std::vector<std::vector<float>> weights;
};
inline Alone train_alone(const std::string& device, const ModelOf& make, const OptimizerOf& optimizer,
                         const std::vector<Batch>& batches, const Shape& image) {
  set_default_device(Device(device));
  manual_seed(5);
  nn::Sequential model = make();
  const auto steps = optimizer(nn::parameters(model));
  Alone alone;
  for (const Batch& batch : batches) {
    steps->zero_grad();
    const Tensor loss = mean_loss(model, tensors_of(batch, image, default_device()));
    loss.backward();
    steps->step();
    alone.losses.push_back(loss.item());
  }
  for (const Variable& each : steps->parameters()) alone.weights.push_back(each.read().to_vector<float>());
  return alone;
}

}  // namespace backplane::tests
