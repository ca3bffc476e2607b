// SPDX-License-Identifier: Apache-2.0
// Replicas and batches that data-parallel training does not take, and what it says about them.
#include "backplane/nn.h"
#include "backplane/optim.h"
#include "backplane/parallel.h"
#include "frontend/support.h"

namespace backplane::tests {
namespace {

using parallel::DataParallel;
using parallel::Replica;

const parallel::DataParallelOptions kHost{.reduction = parallel::Reduction::host};

std::vector<Device> devices() { return {Device("reference:0"), Device("toy_cpp:0")}; }

std::shared_ptr<nn::Sequential> a_model(int64_t width = 2) {
  return std::make_shared<nn::Sequential>(nn::Linear(2, width), nn::ReLU());
}
Replica replica_of(const std::shared_ptr<nn::Sequential>& model) {
  return {model, std::make_shared<optim::SGD>(nn::parameters(*model)),
          [model](std::span<const Tensor> batch) { return mean((*model)(batch[0])); }};
}
std::string refusal_of(const std::function<Replica()>& make) {
  return message_of([&] { DataParallel training(devices(), make, kHost); });
}

TEST(Refused, ReplicasThatAreNotAlikeOrNotApart) {
  const auto shared = a_model();
  EXPECT_THAT(refusal_of([&] { return replica_of(shared); }), HasSubstr("two replicas share variable '0.weight'"));
  int64_t width = 2;
  EXPECT_THAT(refusal_of([&] { return replica_of(a_model(width++)); }), HasSubstr("differ in number or type"));
  EXPECT_THAT(refusal_of([] { return Replica{}; }), HasSubstr("lacks its model, optimiser or loss"));
}

TEST(Refused, BatchesThatAreNone) {
  DataParallel training(
      devices(), [] { return replica_of(a_model()); }, kHost);
  EXPECT_THAT(message_of([&] {
                training.step({ones({4, 2}), ones({3})});
              }),
              HasSubstr("differ in their number of samples"));
  EXPECT_THAT(message_of([&] { training.step({ones({0, 2})}); }), HasSubstr("or have none"));
  EXPECT_THAT(message_of([&] { training.step(std::span<const Tensor>()); }), HasSubstr("without a batch"));
  EXPECT_NO_THROW(training.step({ones({4, 2})})) << "a refused batch ends nothing";
}

TEST(Refused, LossesThatTrainNothing) {
  const auto with_loss = [](auto loss) {
    return [loss] {
      const auto model = a_model();
      Replica replica = replica_of(model);
      replica.loss = [model, loss](std::span<const Tensor> batch) { return loss(*model, batch[0]); };
      return replica;
    };
  };
  DataParallel many(devices(), with_loss([](const auto& model, const Tensor& x) { return model(x); }), kHost);
  EXPECT_THAT(message_of([&] { many.step({ones({4, 2})}); }), HasSubstr("a replica's loss has 4 elements"));
  DataParallel unused(devices(), with_loss([](const auto& model, const Tensor&) {
                        const auto& linear = static_cast<const nn::Linear&>(*model.layers[0]);
                        return sum(linear.weight);
                      }),
                      kHost);
  EXPECT_THAT(message_of([&] {
                unused.step({ones({4, 2})});
              }),
              HasSubstr("the loss does not depend on parameter '0.bias'"));
}

}  // namespace
}  // namespace backplane::tests
