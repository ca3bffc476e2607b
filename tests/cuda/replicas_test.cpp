// SPDX-License-Identifier: Apache-2.0
// Data-parallel training on two emulated GPUs when something breaks: NCCL is not there, a GPU is lost or out of memory
// in the middle of a step, a rank never comes. Nothing waits for ever, and the reason is the one that was.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "cuda/emulator/control.h"
#include "parallel/replicas.h"

namespace backplane::tests {
namespace {

using parallel::DataParallel;
using parallel::Group;
using parallel::Rank;
using parallel::RankError;
using parallel::Reduction;
using testing::HasSubstr;

class CudaReplicas : public testing::TestWithParam<Reduction> {
 protected:
  static std::vector<Device> gpus() { return {Device("cuda:0"), Device("cuda:1")}; }
  void TearDown() override { cuda_emulator_reset(); }

  /// What a step of training throws; it has come back long before NCCL's own patience ends.
  static std::string failure_of(const std::function<void()>& step) {
    const auto start = std::chrono::steady_clock::now();
    std::string text = "nothing was thrown";
    try {
      step();
    } catch (const RankError& error) {
      text = error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
    return text;
  }
};

TEST_P(CudaReplicas, ARankThatThrowsWakesTheOneInTheExchange) {
  Group group(gpus(), GetParam());
  const auto work = [](Rank& rank) {
    rank.all_reduce(ones({4}));
    if (rank.index() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // rank 0 waits inside by now
      throw Error("[data] a bad sample");
    }
    rank.all_reduce(ones({4}));
  };
  EXPECT_EQ(failure_of([&] { group.run(work); }), "[parallel] rank 1 (cuda:1) failed: [data] a bad sample");
  Group again(gpus(), GetParam());
  again.run(
      [](Rank& rank) { EXPECT_EQ(rank.all_reduce(ones({1})).item(), 2) << "the devices are as usable as before"; });
}

TEST_P(CudaReplicas, OutOfMemoryEndsTheTrainingAndLeavesTheGpus) {
  set_default_device(Device("cuda:0"));
  DataParallel training(gpus(), replicas_of(small_mlp, sgd()), {.reduction = GetParam(), .compiled = false});
  const auto batch = make_batches(1, 8, kFeatures, kClasses, 2);
  const auto step = [&] { training.step(tensors_of(batch[0], {kFeatures}, Device("cuda:0"))); };
  step();
  const std::string text = failure_of([&] {
    training.group().run([](Rank& rank) {
      if (rank.index() == 1) {
        rank.device().synchronize();
        cuda_emulator_fail("cuMemAlloc", 2, 0, -1);  // CUDA_ERROR_OUT_OF_MEMORY
        zeros({64 << 20});                           // more than any pool has kept
      }
      rank.all_reduce(ones({4}));
    });
  });
  cuda_emulator_reset();
  EXPECT_THAT(text, HasSubstr("rank 1 (cuda:1) failed"));
  EXPECT_THAT(text, HasSubstr("memory"));
  EXPECT_EQ(failure_of(step), text) << "the training has ended";
  for (const Device& each : gpus()) EXPECT_EQ((Tensor::from(std::vector<float>{2}, {1}, each) * 3).item(), 6);
}

/// The end of a process that dies of what `action` throws, or with status 1 when it throws nothing.
[[noreturn]] void die_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::_Exit(0);
  }
  std::_Exit(1);
}

/// In processes of their own: NCCL is looked for once, and a GPU that is lost stays lost.
class CudaReplicasAlone : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(CudaReplicasAlone, WithoutNcclTheHostIsNamedNotTaken) {
  EXPECT_EXIT(die_of([] {
                setenv("BACKPLANE_CUDA_NCCL", "/no/such/libnccl.so.2", 1);
                Group group({Device("cuda:0"), Device("cuda:1")});
              }),
              testing::ExitedWithCode(0), "no NCCL \\(libnccl.so.2\\)[^$]*ask for Reduction::host");
}

TEST_F(CudaReplicasAlone, ALostGpuIsTheReason) {
  EXPECT_EXIT(die_of([] {
                DataParallel training({Device("cuda:0"), Device("cuda:1")}, replicas_of(small_mlp, sgd()),
                                      {.compiled = false});
                const Batch batch = make_batches(1, 8, kFeatures, kClasses, 2).front();
                const auto step = [&] { training.step(tensors_of(batch, {kFeatures}, Device("cuda:0"))).item(); };
                step();
                step();
                cuda_emulator_fail("cuStreamSynchronize", 700, 0, 1);  // CUDA_ERROR_ILLEGAL_ADDRESS
                EXPECT_THROW(Device("cuda:1").synchronize(), Error);   // and the next step meets it by itself
                std::fprintf(stderr, "after 2 steps: ");
                step();
              }),
              testing::ExitedWithCode(0), "after 2 steps: .*rank 1 \\(cuda:1\\) failed: .*CUDA_ERROR_ILLEGAL_ADDRESS");
}

/// Work fails after every rank has put its part into the queue, and nobody asks for more: the others would wait in the
/// exchange for ever.
TEST_F(CudaReplicasAlone, AGpuThatFailsBehindEverybodysBackIsNoticed) {
  EXPECT_EXIT(die_of([] {
                Group group({Device("cuda:0"), Device("cuda:1")});
                group.run([](Rank& rank) {
                  rank.all_reduce(ones({4}));
                  if (rank.index() == 1) cuda_emulator_fail("cuEventQuery", 700, 0, 1);  // CUDA_ERROR_ILLEGAL_ADDRESS
                });
                for (int i = 0; i < 500; ++i) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(10));
                  group.run([](Rank&) {});
                }
              }),
              testing::ExitedWithCode(0), "rank [01] \\(cuda:[01]\\) failed: .*CUDA_ERROR_ILLEGAL_ADDRESS");
}

INSTANTIATE_TEST_SUITE_P(By, CudaReplicas, testing::Values(Reduction::plugin, Reduction::host),
                         [](const auto& test) { return std::string(parallel::to_string(test.param)); });

}  // namespace
}  // namespace backplane::tests
