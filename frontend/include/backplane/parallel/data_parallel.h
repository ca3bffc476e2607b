// SPDX-License-Identifier: Apache-2.0
// Data-parallel training: the same model on several devices, each working on its part of every batch.
//
//   parallel::DataParallel training({Device("cuda:0"), Device("cuda:1")}, [] {
//     const auto model = std::make_shared<Mlp>();
//     return parallel::Replica{model, std::make_shared<optim::Adam>(nn::parameters(*model)),
//                              [model](std::span<const Tensor> batch) { return sparse_cross_entropy((*model)(batch[0]),
//                              batch[1]); }};
//   });
//   const Tensor loss = training.step({images, labels});
//
// A step is: each replica computes the loss and the gradients of its samples; these are averaged, weighted by how many
// samples each replica had; the optimiser takes a step. What comes out is the step of one device with the whole batch,
// but for rounding. docs/data-parallel.md says what is exact and what is not.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backplane/nn/module.h"
#include "backplane/optim/optimizer.h"
#include "backplane/parallel/group.h"

namespace backplane::parallel {

/// What one device trains. All replicas are made alike and share no Variable.
struct Replica {
  std::shared_ptr<nn::Module> model;
  std::shared_ptr<optim::Optimizer> optimizer;
  /// The mean loss over the samples in `batch`, one element. Called as compile() calls a function.
  std::function<Tensor(std::span<const Tensor> batch)> loss;
};

/// How replicas keep the same bits.
enum class Update {
  everywhere,  ///< every replica's optimiser takes the same step: right when the devices compute alike
  once         ///< the first one's takes it, and the others get its parameters: devices that round differently
};
std::string_view to_string(Update update);

struct DataParallelOptions {
  Reduction reduction = Reduction::plugin;
  /// Unset: everywhere when all devices are of one plugin, architecture and driver.
  std::optional<Update> update;
  bool compiled = true;             ///< trace a replica's part of a step, and run it as a plan
  int64_t bucket_bytes = 16 << 20;  ///< gradients cross in tensors of about this size
};

class DataParallel {
 public:
  /// Calls `make` once for each device, which is the default one meanwhile, the first device first; then every replica
  /// gets the first one's variables and optimiser state. Throws Error when the replicas differ.
  DataParallel(std::vector<Device> devices, const std::function<Replica()>& make,
               const DataParallelOptions& options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Splits every tensor of `batch` along its first axis, the same for all, in parts that differ by one sample at most;
  /// a replica may get none. Gives the mean loss over the batch, on the first device; not waited for. Throws RankError
  /// when a replica fails: the training has ended then, and every later step says so again.
  Tensor step(std::span<const Tensor> batch, Here here = {});
  Tensor step(std::initializer_list<Tensor> batch, Here here = {});

  void set_learning_rate(double value) const;
  /// The one to test and to save is the first.
  const Replica& replica(uint32_t rank) const;
  Group& group();
  Update update() const;
  /// "cuda:0, cuda:1; sums by plugin cuda; every replica updates" for people to read.
  std::string describe() const;
  /// Launches of the latest step by all replicas: on their devices, and on the host fallback.
  std::pair<size_t, size_t> node_counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backplane::parallel
