// SPDX-License-Identifier: Apache-2.0
// Replicas on several devices take the steps that one device takes with the whole batch, and hold the same bits. The
// devices come from the build: PARALLEL_CREWS.
#include <gmock/gmock.h>

#include <cmath>

#include "parallel/replicas.h"

namespace backplane::tests {
namespace {

using parallel::DataParallel;
using parallel::DataParallelOptions;
using parallel::Update;
using testing::HasSubstr;

class Training : public testing::TestWithParam<Crew> {
 protected:
  static DataParallelOptions options(std::optional<Update> update = {}) {
    return {.reduction = GetParam().reduction, .update = update};
  }
  static DataParallel start(const ModelOf& model, const OptimizerOf& optimizer, const DataParallelOptions& options) {
    const std::vector<Device> devices = open(GetParam());
    set_default_device(devices.front());
    manual_seed(5);
    return DataParallel(devices, replicas_of(model, optimizer), options);
  }
  static std::vector<Tensor> tensors(const Batch& batch, const Shape& image) {
    return tensors_of(batch, image, Device(GetParam().devices.front()));
  }
  static void expect_same_bits(const DataParallel& training) {
    for (uint32_t r = 1; r < GetParam().devices.size(); ++r) {
      EXPECT_TRUE(bits_of(training, 0) == bits_of(training, r)) << "rank " << r << " of " << training.describe();
    }
  }
  static void expect_like_one_device(DataParallel& training, const OptimizerOf& optimizer,
                                     const std::vector<Batch>& batches) {
    const Alone alone = train_alone(GetParam().devices.front(), small_mlp, optimizer, batches, {kFeatures});
    for (size_t i = 0; i < batches.size(); ++i) {
      const double loss = training.step(tensors(batches[i], {kFeatures})).item();
      // Rounding differs, and training lets it grow.
      EXPECT_NEAR(loss, alone.losses[i], 1e-5 * (1 + std::abs(alone.losses[i]))) << "step " << i;
    }
    const auto& parameters = training.replica(0).optimizer->parameters();
    for (size_t p = 0; p < parameters.size(); ++p) {
      EXPECT_THAT(parameters[p].read().to_vector<float>(),
                  testing::Pointwise(testing::FloatNear(1e-4f), alone.weights[p]))
          << parameters[p].name();
    }
    EXPECT_LT(alone.losses.back(), 0.7 * alone.losses.front()) << "something was learned";
    expect_same_bits(training);
  }
};

/// 13 samples: no number of devices above one divides them.
TEST_P(Training, StepsAreThoseOfOneDevice) {
  const auto batches = make_batches(12, 13, kFeatures, kClasses, 9);
  DataParallel training = start(small_mlp, sgd(), options());
  expect_like_one_device(training, sgd(), batches);
}

TEST_P(Training, AlsoWithoutPlansAndInManyBuckets) {
  const auto batches = make_batches(12, 13, kFeatures, kClasses, 9);
  DataParallelOptions wanted = options();
  wanted.compiled = false;
  wanted.bucket_bytes = 64;
  DataParallel training = start(small_mlp, sgd(), wanted);
  expect_like_one_device(training, sgd(), batches);
}

TEST_P(Training, OneUpdatesForAll) {
  const auto batches = make_batches(12, 13, kFeatures, kClasses, 9);
  DataParallel training = start(small_mlp, adam(), options(Update::once));
  EXPECT_THAT(training.describe(), HasSubstr(GetParam().devices.front() + " updates"));
  expect_like_one_device(training, adam(), batches);
}

TEST_P(Training, BatchesOfSeveralSizesAndASingleSample) {
  std::vector<Batch> batches = make_batches(10, 16, kFeatures, kClasses, 3);
  for (const size_t small : {size_t{4}, size_t{9}}) {  // fewer samples than devices: one works, the others wait
    batches[small].labels.resize(1);
    batches[small].images.resize(kFeatures);
  }
  const Alone alone = train_alone(GetParam().devices.front(), small_mlp, sgd(), batches, {kFeatures});
  DataParallel training = start(small_mlp, sgd(), options());
  for (size_t i = 0; i < batches.size(); ++i) {
    EXPECT_NEAR(training.step(tensors(batches[i], {kFeatures})).item(), alone.losses[i], 1e-5 * (1 + alone.losses[i]))
        << i;
  }
  expect_same_bits(training);
}

/// Statistics are those of each replica's own samples; what is kept are the first one's.
TEST_P(Training, RunningStatisticsAreTheFirstReplicas) {
  const auto model = [] {
    return nn::Sequential(nn::Conv2d(1, 3, 3), nn::BatchNorm2d(3), nn::ReLU(), nn::Flatten(),
                          nn::Linear(108, kClasses));
  };
  DataParallel training = start(model, sgd(), options());
  for (const Batch& batch : make_batches(3, 6, 64, kClasses, 4)) {
    EXPECT_TRUE(std::isfinite(training.step(tensors(batch, {1, 8, 8})).item()));
  }
  expect_same_bits(training);
  const auto variables = nn::named_variables(*training.replica(1).model);
  for (const nn::NamedVariable& each : variables) {
    if (each.name != "1.running_mean") continue;
    EXPECT_NE(each.variable.read().to_vector<float>(), std::vector<float>(3)) << "it moved";
  }
}

TEST_P(Training, TheSameSeedDropsTheSameUnits) {
  const auto model = [] {
    return nn::Sequential(nn::Linear(kFeatures, 32), nn::Dropout(0.5), nn::Linear(32, kClasses));
  };
  const auto batches = make_batches(4, 8, kFeatures, kClasses, 2);
  std::vector<double> losses[2];
  for (auto& run : losses) {
    DataParallel training = start(model, sgd(), options());
    for (const Batch& batch : batches) run.push_back(training.step(tensors(batch, {kFeatures})).item());
    expect_same_bits(training);
  }
  EXPECT_EQ(losses[0], losses[1]);
}

TEST_P(Training, TheLearningRateIsEveryReplicas) {
  DataParallel training = start(small_mlp, sgd(), options());
  const auto before = bits_of(training, 1);
  training.set_learning_rate(0);
  const auto batch = make_batches(1, 8, kFeatures, kClasses, 2);
  training.step(tensors(batch[0], {kFeatures}));
  const size_t parameters = training.replica(1).optimizer->parameters().size();
  for (size_t p = 0; p < parameters; ++p) EXPECT_TRUE(bits_of(training, 1)[p] == before[p]) << p;
}

/// One replica fails while the others wait for its gradients.
TEST_P(Training, AReplicaThatFailsInStepThreeEndsAll) {
  const std::vector<Device> devices = open(GetParam());
  set_default_device(devices.front());
  uint32_t made = 0;
  const auto make = [&] {
    parallel::Replica replica = replicas_of(small_mlp, sgd())();
    const auto mean = replica.loss;
    replica.loss = [mean, rank = made++, steps = std::make_shared<int>(0)](std::span<const Tensor> batch) {
      if (rank == 1 && ++*steps == 3) throw Error("[loss] the third batch is bad");
      return mean(batch);
    };
    return replica;
  };
  DataParallelOptions wanted = options();
  wanted.compiled = false;
  DataParallel training(devices, make, wanted);
  const auto batches = make_batches(4, 8, kFeatures, kClasses, 2);
  for (size_t i = 0; i < batches.size(); ++i) {
    const auto step = [&] { training.step(tensors(batches[i], {kFeatures})); };
    if (i < 2) {
      step();
      continue;
    }
    try {
      step();
      ADD_FAILURE() << "step " << i << " went on";
    } catch (const parallel::RankError& error) {
      EXPECT_EQ(error.rank(), 1u);
      EXPECT_THAT(error.what(), HasSubstr("rank 1 (" + devices[1].name() + ") failed: [loss] the third batch is bad"));
    }
  }
  for (const Device& each : devices) {
    EXPECT_EQ((Tensor::from(std::vector<float>{2}, {1}, each) * 3).item(), 6) << each.name() << " is still usable";
  }
}

INSTANTIATE_TEST_SUITE_P(On, Training, testing::Values(PARALLEL_CREWS),
                         [](const auto& test) { return text_of(test.param); });

}  // namespace
}  // namespace backplane::tests
