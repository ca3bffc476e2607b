// SPDX-License-Identifier: Apache-2.0
// Two GPUs: tensors go from one to the other without the host's memory, in order with the work of both.
#include <gtest/gtest.h>

#include <numeric>

#include "backplane/backplane.h"
#include "backplane/graph/runtime.h"
#include "cuda/emulator/control.h"

namespace backplane::tests {
namespace {

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

class CudaPeers : public testing::Test {
 protected:
  void TearDown() override { cuda_emulator_reset(); }
  const Device first_{"cuda:0"}, second_{"cuda:1"};
  uint64_t before_ = cuda_emulator_peer_copies();
  uint64_t copies() const { return cuda_emulator_peer_copies() - before_; }
};

TEST_F(CudaPeers, ATensorCrossesWithoutTheHost) {
  const Tensor x = Tensor::from(numbers(6), {2, 3}, first_);
  const Tensor y = (x * 2.0).to(second_);
  EXPECT_EQ(y.device().name(), "cuda:1");
  EXPECT_EQ(copies(), 1u);
  EXPECT_EQ((y + Tensor::from(numbers(6), {2, 3}, second_)).to_vector<float>(), (std::vector<float>{3, 6, 9, 12, 15, 18}));
  EXPECT_EQ(transpose(x).to(second_).to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(slice(x, 0, 1, 2).to(second_).to_vector<float>(), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(copies(), 3u);
  EXPECT_EQ(Tensor::from(std::vector<float>{}, {0}, first_).to(second_).shape(), Shape({0}));
  EXPECT_EQ(copies(), 3u) << "nothing to copy";
}

/// The emulated driver does work as late as it may: without the second event the source would be overwritten first.
TEST_F(CudaPeers, TheSourceIsReadBeforeItsMemoryIsUsedAgain) {
  Tensor moved;
  {
    const Tensor x = Tensor::from(numbers(1000), {1000}, first_);
    moved = x.to(second_);
  }
  const Tensor other = Tensor::from(std::vector<float>(1000, -1.0f), {1000}, first_);  // gets the block that x had
  first_.synchronize();
  EXPECT_EQ(moved.to_vector<float>(), numbers(1000));
  EXPECT_EQ(other.to_vector<float>()[0], -1.0f);
}

TEST_F(CudaPeers, BetweenPluginsItGoesThroughTheHost) {
  const Tensor x = Tensor::from(numbers(4), {4}, first_);
  EXPECT_EQ(x.to(Device("reference")).to_vector<float>(), numbers(4));
  EXPECT_EQ(Tensor::from(numbers(4), {4}, Device("reference")).to(second_).to_vector<float>(), numbers(4));
  EXPECT_EQ(copies(), 0u);
}

TEST_F(CudaPeers, WhereMemoryIsOutOfReachTheDriverStagesIt) {
  cuda_emulator_fail("cuCtxEnablePeerAccess", 217, 0, -1);  // CUDA_ERROR_PEER_ACCESS_UNSUPPORTED
  EXPECT_EQ(Tensor::from(numbers(4), {4}, second_).to(first_).to_vector<float>(), numbers(4));
  EXPECT_EQ(copies(), 1u);
}

TEST_F(CudaPeers, WhatTheDriverRefusesIsAnError) {
  const Tensor x = Tensor::from(numbers(4), {4}, first_);
  cuda_emulator_fail("cuMemcpyPeerAsync", 2, 0, 1);
  EXPECT_THROW(x.to(second_), host::Error);
  EXPECT_EQ(x.to(second_).to_vector<float>(), numbers(4)) << "out of memory leaves both usable";
}

}  // namespace
}  // namespace backplane::tests
