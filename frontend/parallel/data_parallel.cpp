// SPDX-License-Identifier: Apache-2.0
#include "backplane/parallel/data_parallel.h"

#include <algorithm>
#include <unordered_set>

#include "backplane/graph/runtime.h"
#include "backplane/random.h"
#include "replica_step.h"
#include "thread_defaults.h"

namespace backplane::parallel {
namespace {

/// Whether two devices give the same bits for the same kernels.
bool alike(const Device& a, const Device& b) {
  const host::Device &x = *a.stream()->device(), &y = *b.stream()->device();
  const bp_device_info &i = x.info(), &j = y.info();
  return x.plugin_path() == y.plugin_path() && std::string_view(i.architecture) == j.architecture &&
         std::string_view(i.driver) == j.driver && i.compute_units == j.compute_units;
}

Update natural_update(const std::vector<Device>& devices) {
  for (const Device& each : devices) {
    if (!alike(each, devices.front())) return Update::once;
  }
  return Update::everywhere;
}

Replica make_on(const Device& device, const std::function<Replica()>& make) {
  const std::vector<int32_t> drawn = next_random_key().to_vector<int32_t>();
  const ThreadDefaults defaults(device, {drawn[0], drawn[1], drawn[2], drawn[3]});
  Replica replica = make();
  if (replica.model == nullptr || replica.optimizer == nullptr || !replica.loss) {
    fail("parallel", "a replica lacks its model, optimiser or loss");
  }
  return replica;
}

void check_alike(const ReplicaStep& first, const ReplicaStep& other) {
  const auto &a = first.variables(), &b = other.variables();
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = a[i].type() == b[i].type();
  if (!same) {
    fail("parallel", "the replicas' variables differ in number or type", {}, {}, "make all replicas the same way");
  }
  std::unordered_set<const VariableCell*> cells;
  for (const Variable& each : a) cells.insert(each.cell().get());
  for (const Variable& each : b) {
    if (cells.count(each.cell().get()) == 0) continue;
    fail("parallel", "two replicas share variable '" + each.name() + "'", {}, {}, "make a model anew in every call");
  }
}

/// The batch's number of samples.
int64_t samples_of(std::span<const Tensor> batch, Here here) {
  for (const Tensor& each : batch) {
    if (each.rank() > 0 && each.shape()[0] == batch.front().shape()[0] && each.shape()[0] > 0) continue;
    const Type types[] = {batch.front().type(), each.type()};
    fail("parallel", "the tensors of a batch differ in their number of samples, or have none", types, here.loc,
         "give every tensor the samples on its first axis");
  }
  if (batch.empty()) fail("parallel", "a step without a batch", {}, here.loc);
  return batch.front().shape()[0];
}

}  // namespace

std::string_view to_string(Update update) { return update == Update::once ? "once" : "everywhere"; }

struct DataParallel::State {
  State(std::vector<Device> devices, Update how, Reduction reduction)
      : group(std::move(devices), reduction), update(how) {}
  Group group;
  Update update;
  std::vector<Replica> replicas;
  std::vector<std::unique_ptr<ReplicaStep>> steps;
  std::pair<size_t, size_t> eager_nodes;  ///< of the latest step: all of it, or what lies around its plans
};

DataParallel::DataParallel(std::vector<Device> devices, const std::function<Replica()>& make,
                           const DataParallelOptions& options) {
  const Update update = options.update.value_or(natural_update(devices));
  state_ = std::make_unique<State>(std::move(devices), update, options.reduction);
  for (uint32_t r = 0; r < state_->group.size(); ++r) {
    state_->replicas.push_back(make_on(state_->group.device(r), make));
    state_->steps.push_back(std::make_unique<ReplicaStep>(state_->replicas.back(), r == 0, update, options));
    for (uint32_t earlier = 0; earlier < r; ++earlier) check_alike(*state_->steps[earlier], *state_->steps[r]);
  }
  state_->group.run([&](Rank& rank) { state_->steps[rank.index()]->begin(rank); });
}

DataParallel::~DataParallel() = default;

Tensor DataParallel::step(std::span<const Tensor> batch, Here here) {
  Group& group = state_->group;
  const int64_t samples = samples_of(batch, here), ranks = group.size();
  // Apart from the work itself: a rank that waits in an exchange holds its queue, which a copy from its device needs.
  std::vector<std::vector<Tensor>> parts(group.size());
  std::vector<Tensor> weights(group.size());
  group.run([&](Rank& rank) {
    const int64_t r = rank.index(), whole = samples / ranks, more = samples % ranks;
    const int64_t begin = r * whole + std::min(r, more), count = whole + (r < more ? 1 : 0);
    std::vector<Tensor>& part = parts[rank.index()];
    for (size_t i = 0; count > 0 && i < batch.size(); ++i) {
      part.push_back(slice(batch[i], 0, begin, begin + count).to(rank.device()));
    }
    const float weight = static_cast<float>(static_cast<double>(count) / static_cast<double>(samples));
    weights[rank.index()] = Tensor::from(std::span(&weight, 1), {}, rank.device());
  });
  Tensor loss;
  const auto before = eager_node_counts();
  group.run([&](Rank& rank) {
    const uint32_t r = rank.index();
    const Tensor own = state_->steps[r]->run(rank, parts[r], weights[r]);
    if (r == 0) loss = own;
  });
  const auto after = eager_node_counts();
  state_->eager_nodes = {after.first - before.first, after.second - before.second};
  return loss;
}

Tensor DataParallel::step(std::initializer_list<Tensor> batch, Here here) {
  return step(std::span(batch.begin(), batch.size()), here);
}

void DataParallel::set_learning_rate(double value) const {
  for (const Replica& each : state_->replicas) each.optimizer->set_learning_rate(value);
}

const Replica& DataParallel::replica(uint32_t rank) const { return state_->replicas.at(rank); }
Group& DataParallel::group() { return state_->group; }
Update DataParallel::update() const { return state_->update; }

std::string DataParallel::describe() const {
  return state_->group.describe() + (state_->update == Update::once ? "; " + state_->group.device(0).name() + " updates"
                                                                    : "; every replica updates");
}

std::pair<size_t, size_t> DataParallel::node_counts() const {
  std::pair<size_t, size_t> all = state_->eager_nodes;
  for (const auto& each : state_->steps) {
    const auto counts = each->node_counts();
    all = {all.first + counts.first, all.second + counts.second};
  }
  return all;
}

}  // namespace backplane::parallel
