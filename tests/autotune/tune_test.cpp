// SPDX-License-Identifier: Apache-2.0
// The whole tuner on simulated devices: what it chooses, that good variants are never called bad, that a budget, a
// cancellation and the caller's wishes are kept, and that distorted times change the choice and nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "gate.h"
#include "plugins/virtual_clock/noise.h"
#include "plugins/virtual_clock/surface.h"
#include "virtual_device.h"

namespace backplane::test {
namespace {

using autotune::Candidate;
using autotune::Distortion;
using autotune::Outcome;
using autotune::Request;
using autotune::Verdict;

/// Place of a variant on the surface: its name ends in "@v=<place>".
size_t place_of(const std::string& variant) { return std::stoul(variant.substr(variant.find("@v=") + 3)); }

TEST(Tune, FindsNearlyTheBestUnderEveryNoise) {
  std::vector<double> regrets;
  for (const Noise& noise : noises()) {
    const host::DevicePtr device = virtual_device(std::string("noise-") + noise.name);
    for (int64_t m = 1; m <= 4; ++m) {
      const Product product(m, 2, 3);
      const Instance instance = instance_of_shape(m, 2, 3);
      Request request = virtual_request(device);
      request.budget_ns = 5'000'000'000;
      const Outcome outcome = autotune::tune(device, product.op, request);
      ASSERT_EQ(outcome.candidates.size(), instance.ns.size());
      const double ns = instance.ns[place_of(outcome.chosen)];
      regrets.push_back(ns / instance.best() - 1);
      EXPECT_LE(ns, 1.01 * instance.ns[0]) << noise.name;
      for (const Candidate& c : outcome.candidates) EXPECT_TRUE(autotune::is_right(c.verdict)) << c.variant << c.reason;
    }
  }
  std::sort(regrets.begin(), regrets.end());
  std::printf("regret over %zu tunings: median %.2f %%, max %.2f %%\n", regrets.size(),
              regrets[regrets.size() / 2] * 100, regrets.back() * 100);
  EXPECT_LE(regrets[regrets.size() / 2], 0.005);
  EXPECT_LE(regrets[regrets.size() * 95 / 100], 0.03);
  EXPECT_LE(regrets.back(), 0.08);
}

std::string name_of_dtype(uint32_t dtype) {
  constexpr const char* kNames[] = {"", "f32", "f64", "f16", "bf16", "i32", "i64"};
  return kNames[dtype];
}

class GoodChecks : public testing::TestWithParam<uint32_t> {};

/// Variants that add in different orders are all right: rounding is no fault.
TEST_P(GoodChecks, NeverRejectAGoodVariant) {
  constexpr int kChecks = 10'000;
  const host::DevicePtr device = virtual_device("noise-none");
  std::mt19937_64 engine(GetParam());
  const auto extent = [&](int64_t most) { return std::uniform_int_distribution<int64_t>(1, most)(engine); };
  double worst = 0;
  for (int done = 0; done < kChecks;) {
    const Product product(extent(6), extent(6), extent(400), GetParam());
    autotune::Problem problem(device, reference_device(), product.op, engine(), {});
    autotune::Rig rig(device, problem, 1'000'000'000);
    for (const host::Variant& variant : device->variants(product.op)) {
      const host::Kernel kernel = device->prepare(product.op, variant.name.c_str());
      try {
        const autotune::Checked checked = autotune::check_variant(rig, problem, variant, kernel, {.launches = 2});
        if (checked.difference.allowed > 0)
          worst = std::max(worst, checked.difference.error / checked.difference.allowed);
      } catch (const autotune::Fault& fault) {
        FAIL() << variant.name << " after " << done << ": " << autotune::name_of(fault.verdict) << ", " << fault.reason;
      }
      ++done;
    }
  }
  std::printf("largest error: %.2f of what is allowed\n", worst);
}
INSTANTIATE_TEST_SUITE_P(Dtypes, GoodChecks, testing::Values(BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64),
                         [](const testing::TestParamInfo<uint32_t>& info) { return name_of_dtype(info.param); });

TEST(Tune, KeepsItsBudget) {
  const host::DevicePtr device = virtual_device("noise-quiet");
  for (const uint64_t budget : {1'000ull, 100'000ull, 3'000'000ull, 30'000'000ull, 300'000'000ull}) {
    for (int64_t n = 1; n <= 20; ++n) {
      const Product product(2, n, 2);
      const Instance instance = instance_of_shape(2, n, 2);
      Request request = virtual_request(device);
      request.budget_ns = budget;
      const Outcome outcome = autotune::tune(device, product.op, request);
      const double launch = 1.1 * *std::max_element(instance.ns.begin(), instance.ns.end());
      EXPECT_LE(static_cast<double>(outcome.spent_ns), std::max(1.05 * static_cast<double>(budget), budget + launch));
      ASSERT_NE(outcome.chosen, "");
      EXPECT_LE(instance.ns[place_of(outcome.chosen)], 1.01 * instance.ns[0]) << outcome.why;
    }
  }
}

/// Builds are off the budget of a problem, and count against the time in all.
TEST(Tune, KeepsTheTimeInAllWithSlowBuilds) {
  constexpr uint64_t kBuild = 300'000'000;
  const host::DevicePtr device = virtual_device("slow-builds");
  for (const uint64_t total : {100'000'000ull, 1'000'000'000ull, 3'000'000'000ull, 20'000'000'000ull}) {
    for (int64_t n = 1; n <= 10; ++n) {
      const Product product(6, n, 2);
      const Instance instance = instance_of_shape(6, n, 2);
      Request request = virtual_request(device);
      request.total_ns = total;
      const int64_t start = virtual_ns(*device);
      const Outcome outcome = autotune::tune(device, product.op, request);
      const auto took = static_cast<uint64_t>(virtual_ns(*device) - start);
      EXPECT_LE(took, total + kBuild);
      ASSERT_NE(outcome.chosen, "");
      EXPECT_LE(instance.ns[place_of(outcome.chosen)], 1.01 * instance.ns[0]) << outcome.why;
      // What was built in time is raced: the limit costs candidates, not the tuning.
      const auto unbuilt = static_cast<uint64_t>(std::ranges::count(
          outcome.candidates, Verdict::over_budget, [](const Candidate& c) { return c.verdict; }));
      const uint64_t possible = std::min<uint64_t>(instance.ns.size(), std::max<uint64_t>(1, total / kBuild));
      EXPECT_LE(unbuilt, instance.ns.size() - possible + 2);
      EXPECT_TRUE(outcome.rounds > 0 || total < 1'000'000'000) << outcome.why;
      EXPECT_TRUE(unbuilt == 0 || total < 20'000'000'000) << unbuilt;
    }
  }
}

TEST(Tune, StopsWhenCancelled) {
  const host::DevicePtr device = virtual_device("noise-none");
  const Product product(3, 3, 3);
  std::atomic<bool> cancelled{false};
  Request request = virtual_request(device);
  request.cancelled = &cancelled;
  request.progress = [&](const autotune::Progress& p) { cancelled = cancelled || p.done == 2; };
  const Outcome outcome = autotune::tune(device, product.op, request);
  EXPECT_FALSE(outcome.decided);
  EXPECT_EQ(place_of(outcome.chosen), 0u);
  ASSERT_GT(outcome.candidates.size(), 3u);
  EXPECT_EQ(outcome.candidates.back().verdict, Verdict::over_budget);
}

TEST(Tune, KeepsAnIncumbentThatIsAsGood) {
  const host::DevicePtr device = virtual_device("noise-typical");
  int flips = 0;
  for (int64_t n = 1; n <= 30; ++n) {
    const Product product(1, n, 4);
    Request request = virtual_request(device);
    const Outcome first = autotune::tune(device, product.op, request);
    request.incumbent = first.chosen;
    request.seed = 99;
    flips += autotune::tune(device, product.op, request).chosen != first.chosen;
  }
  EXPECT_EQ(flips, 0);
}

TEST(Tune, DoesNotTryWhatIsBlocked) {
  const host::DevicePtr device = virtual_device("noise-none");
  const Product product(5, 5, 5);
  Request request = virtual_request(device);
  const Outcome before = autotune::tune(device, product.op, request);
  request.blocked[before.chosen] = {Verdict::hung, "it hung"};
  const Outcome after = autotune::tune(device, product.op, request);
  EXPECT_EQ(after.find(before.chosen)->verdict, Verdict::hung);
  EXPECT_NE(after.chosen, before.chosen);
}

/// Whichever wins, it is right: the hook changes times only.
TEST(Tune, DistortedTimesChangeOnlyTheChoice) {
  const host::DevicePtr device = virtual_device("noise-none");
  int changed = 0;
  for (int64_t n = 1; n <= 10; ++n) {
    const Product product(4, n, 4);
    Request request = virtual_request(device);
    request.budget_ns = 5'000'000'000;
    const std::string best = autotune::tune(device, product.op, request).chosen;
    for (const Distortion distortion : {Distortion::inverse, Distortion::random}) {
      request.distortion = distortion;
      request.seed = static_cast<uint64_t>(n);
      const Outcome outcome = autotune::tune(device, product.op, request);
      changed += outcome.chosen != best;
      EXPECT_TRUE(outcome.decided) << outcome.why;
      EXPECT_EQ(outcome.find(outcome.chosen)->verdict, Verdict::raced);
      for (const Candidate& c : outcome.candidates) EXPECT_TRUE(autotune::is_right(c.verdict)) << c.reason;
    }
  }
  EXPECT_GE(changed, 10);
}

TEST(Tune, SaysWhatItDoesNotDo) {
  const host::DevicePtr device = virtual_device("fault-zeros");
  const Product product(4, 4, 4, BP_F64);
  EXPECT_THROW(autotune::tune(device, product.op, virtual_request(device)), std::exception);
}

}  // namespace
}  // namespace backplane::test
