// SPDX-License-Identifier: Apache-2.0
// Several cards in one process. Drivers bring compilers of their own (PoCL and Mesa each an LLVM), which must not get in each
// other's way, whichever is opened first. ctest runs each test in a process of its own, so the order is what it says.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "backplane/backplane.h"

namespace {

/// A product, a convolution and a softmax, compiled by the card's driver; f32[4, 9].
std::vector<float> compute(const bp::Device& device) {
  std::vector<float> values(4 * 3 * 8 * 8);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  const bp::Tensor x = bp::Tensor::from(values, {4, 3, 8, 8}, device);
  const bp::Tensor filters = bp::Tensor::from(std::span<const float>(values).first(5 * 3 * 3 * 3), {5, 3, 3, 3}, device);
  const bp::Tensor seen = bp::relu(bp::convolution(x, filters, {.padding = {1}}));
  const bp::Tensor w = bp::Tensor::from(std::span<const float>(values).first(5 * 9), {5, 9}, device);
  return bp::softmax(bp::matmul(bp::mean(seen, {2, 3}), w)).to_vector<float>();
}

void expect_same(const std::vector<float>& results, const std::string& who) {
  static const std::vector<float> right = compute(bp::Device("reference"));
  ASSERT_EQ(results.size(), right.size());
  for (size_t i = 0; i < right.size(); ++i) EXPECT_NEAR(results[i], right[i], 1e-5) << who << " at " << i;
}

void run_in_order(const std::vector<std::string>& names) {
  std::vector<bp::Device> devices;
  for (const std::string& name : names) {
    devices.emplace_back(name);
    expect_same(compute(devices.back()), name);
  }
  for (size_t i = 0; i < names.size(); ++i) expect_same(compute(devices[i]), names[i] + " again");
}

TEST(Together, OpenclThenVulkan) { run_in_order({"opencl", "vulkan"}); }
TEST(Together, VulkanThenOpencl) { run_in_order({"vulkan", "opencl"}); }
TEST(Together, CpuThenOpenclThenVulkan) { run_in_order({"cpu", "opencl", "vulkan"}); }
TEST(Together, VulkanThenOpenclThenCpu) { run_in_order({"vulkan", "opencl", "cpu"}); }

TEST(Together, ATensorGoesRound) {
  const bp::Device opencl("opencl"), vulkan("vulkan"), cpu("cpu");
  const bp::Tensor x = bp::Tensor::from({1, 2, 3, 4}, {2, 2});
  const bp::Tensor a = bp::exp(x.to(opencl)), b = a.to(vulkan) + 1, c = (b.to(cpu) * 2).to(opencl);
  const std::vector<float> y = c.to_vector<float>();
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], 2 * (std::exp(static_cast<float>(i + 1)) + 1), 1e-4);
}

TEST(Together, BothCompileAtOnce) {
  std::string folder = (std::filesystem::temp_directory_path() / "backplane-together-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  for (const char* cache : {"BACKPLANE_CACHE_DIR", "POCL_CACHE_DIR", "MESA_SHADER_CACHE_DIR"}) {
    ASSERT_EQ(setenv(cache, folder.c_str(), 1), 0);  // nothing was compiled before
  }
  std::vector<std::thread> threads;
  for (const char* name : {"opencl", "vulkan"}) {
    threads.emplace_back([name] { expect_same(compute(bp::Device(name)), name); });
  }
  for (std::thread& thread : threads) thread.join();
  std::filesystem::remove_all(folder);
}

}  // namespace
