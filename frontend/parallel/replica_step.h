// SPDX-License-Identifier: Apache-2.0
// One replica's part of a training step, in stages that compile apart because an exchange between devices cannot be
// recorded: contribute (loss and gradients of its samples), take (the optimiser's step with those of all), copy
// (variables of the first replica).
#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "backplane/compile.h"
#include "backplane/parallel/data_parallel.h"
#include "buckets.h"

namespace backplane::parallel {

class ReplicaStep {
 public:
  ReplicaStep(const Replica& replica, bool first, Update update, const DataParallelOptions& options);
  ReplicaStep(const ReplicaStep&) = delete;  // its stages call it
  ReplicaStep& operator=(const ReplicaStep&) = delete;

  /// Gives this replica the variables of the first one.
  void begin(const Rank& rank);
  /// `part`: this replica's samples, no tensors when it has none; `weight`: its share of the batch. Gives the mean loss
  /// over the batch, undefined where the replica does not update.
  Tensor run(const Rank& rank, std::span<const Tensor> part, const Tensor& weight);

  /// Parameters, then the other variables of the model: what must be alike among replicas.
  const std::vector<Variable>& variables() const { return variables_; }
  std::pair<size_t, size_t> node_counts() const;

 private:
  /// A function, run as a plan or as it is.
  class Stage {
   public:
    Stage(CompiledFunction::Function function, bool compiled)
        : function_(function), plan_(function), compiled_(compiled) {}
    std::vector<Tensor> operator()(std::span<const Tensor> arguments) {
      return compiled_ ? plan_.run(arguments) : function_(arguments);
    }
    std::pair<size_t, size_t> node_counts() const { return plan_.node_counts(); }

   private:
    CompiledFunction::Function function_;
    CompiledFunction plan_;
    bool compiled_;
  };
  std::vector<Tensor> contribute(std::span<const Tensor> batch_and_weight) const;
  std::vector<Tensor> take(std::span<const Tensor> gradients) const;
  void copy(std::span<const Tensor> buckets) const;

  Replica replica_;
  bool first_, updates_;
  std::vector<Variable> variables_;
  std::vector<Variable> copied_;  ///< after each step, from the first replica
  Buckets gradients_, copies_;
  Stage contribute_, take_, copy_;
};

}  // namespace backplane::parallel
