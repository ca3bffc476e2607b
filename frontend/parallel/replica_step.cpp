// SPDX-License-Identifier: Apache-2.0
#include "replica_step.h"

#include <algorithm>

#include "backplane/variable.h"

namespace backplane::parallel {
namespace {

/// What is trained, then what else the model holds.
std::vector<Variable> variables_of(const Replica& replica) {
  std::vector<Variable> all = replica.optimizer->parameters();
  for (const nn::NamedVariable& each : nn::named_variables(*replica.model)) {
    const auto same = [&](const Variable& other) { return other.cell() == each.variable.cell(); };
    if (std::none_of(all.begin(), all.end(), same)) all.push_back(each.variable);
  }
  return all;
}

/// Running statistics differ among replicas, which see different samples; parameters when only the first one updates.
std::vector<Variable> copied_of(const Replica& replica, const std::vector<Variable>& variables, Update update) {
  const size_t parameters = replica.optimizer->parameters().size();
  std::vector<Variable> copied;
  for (size_t i = 0; i < variables.size(); ++i) {
    const bool state = i >= parameters && !variables[i].trainable() && is_float(variables[i].dtype());
    if (state || (i < parameters && update == Update::once)) copied.push_back(variables[i]);
  }
  return copied;
}

std::vector<Type> types_of(const std::vector<Variable>& variables) {
  std::vector<Type> types;
  for (const Variable& each : variables) types.push_back(each.type());
  return types;
}

/// The loss travels with the gradients.
std::vector<Type> loss_and(const std::vector<Variable>& parameters) {
  std::vector<Type> types = types_of(parameters);
  types.insert(types.begin(), Type{f32, {}});
  return types;
}

}  // namespace

ReplicaStep::ReplicaStep(const Replica& replica, bool first, Update update, const DataParallelOptions& options)
    : replica_(replica),
      first_(first),
      updates_(first || update == Update::everywhere),
      variables_(variables_of(replica)),
      copied_(copied_of(replica, variables_, update)),
      gradients_(loss_and(replica.optimizer->parameters()), options.bucket_bytes),
      copies_(types_of(copied_), options.bucket_bytes),
      contribute_([this](std::span<const Tensor> arguments) { return contribute(arguments); }, options.compiled),
      take_([this](std::span<const Tensor> arguments) { return take(arguments); }, options.compiled),
      copy_(
          [this](std::span<const Tensor> arguments) {
            copy(arguments);
            return std::vector<Tensor>();
          },
          options.compiled) {}

void ReplicaStep::begin(const Rank& rank) {
  std::vector<Variable> all = variables_;
  for (const Variable& each : replica_.optimizer->state()) all.push_back(each);
  for (const Variable& each : all) {
    const Tensor value = rank.broadcast(each.read());
    if (!first_) each.assign(value);
  }
}

Tensor ReplicaStep::run(const Rank& rank, std::span<const Tensor> part, const Tensor& weight) {
  std::vector<Tensor> arguments(part.begin(), part.end());
  arguments.push_back(weight);
  std::vector<Tensor> sums = part.empty() ? gradients_.zeros() : contribute_(arguments);
  for (Tensor& bucket : sums) bucket = rank.all_reduce(bucket);
  std::vector<Tensor> after;
  if (updates_) after = take_(sums);
  if (copies_.size() > 0) {
    // The first replica's variables lie behind its loss; the others only say of which type they are.
    std::vector<Tensor> copies = first_ ? std::vector<Tensor>(after.begin() + 1, after.end()) : copies_.zeros();
    for (Tensor& bucket : copies) bucket = rank.broadcast(bucket);
    if (!first_) copy_(copies);
  }
  return updates_ ? after.front() : Tensor();
}

std::vector<Tensor> ReplicaStep::contribute(std::span<const Tensor> batch_and_weight) const {
  const optim::Optimizer& optimizer = *replica_.optimizer;
  optimizer.zero_grad();
  const Tensor loss = replica_.loss(batch_and_weight.first(batch_and_weight.size() - 1));
  if (loss.elements() != 1) {
    fail("parallel", "a replica's loss has " + std::to_string(loss.elements()) + " elements",
         std::span(&loss.type(), 1), {}, "return the mean over the samples");
  }
  loss.backward();
  const NoGrad no_grad;
  std::vector<Tensor> values{reshape(optim::in_dtype(loss.detach(), f32, {}), {})};
  for (const Variable& each : optimizer.parameters()) {
    values.push_back(each.grad());
    if (values.back().defined()) continue;
    fail("parallel", "the loss does not depend on parameter '" + each.name() + "'", {}, {},
         "leave it out of the optimiser");
  }
  return gradients_.pack(values, batch_and_weight.back());
}

std::vector<Tensor> ReplicaStep::take(std::span<const Tensor> buckets) const {
  const NoGrad no_grad;
  const std::vector<Tensor> values = gradients_.unpack(buckets);
  replica_.optimizer->apply(std::span(values).subspan(1));
  std::vector<Tensor> results{values.front()};
  if (!first_ || copied_.empty()) return results;
  std::vector<Tensor> now;
  for (const Variable& each : copied_) now.push_back(each.read());
  for (Tensor& bucket : copies_.pack(now)) results.push_back(std::move(bucket));
  return results;
}

void ReplicaStep::copy(std::span<const Tensor> buckets) const {
  const NoGrad no_grad;
  const std::vector<Tensor> values = copies_.unpack(buckets);
  for (size_t i = 0; i < values.size(); ++i) copied_[i].assign(values[i]);
}

std::pair<size_t, size_t> ReplicaStep::node_counts() const {
  const auto a = contribute_.node_counts(), b = take_.node_counts(), c = copy_.node_counts();
  return {a.first + b.first + c.first, a.second + b.second + c.second};
}

}  // namespace backplane::parallel
