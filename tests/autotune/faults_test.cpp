// SPDX-License-Identifier: Apache-2.0
// No faulty variant is chosen, however fast it seems, and each is told apart by its verdict.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <ostream>

#include "backplane/autotune/trial.h"
#include "plugins/virtual_clock/faults.h"
#include "virtual_device.h"

namespace backplane::test {

void PrintTo(const FaultyVariant& variant, std::ostream* os) { *os << variant.name; }

namespace {

using autotune::Candidate;
using autotune::Outcome;
using autotune::Verdict;

/// Neither extent is a multiple of a tile.
struct FaultProduct : Product {
  FaultProduct() : Product(35, 19, 67) {
    op.deterministic = 1;
    op.max_workspace = 65536;
  }
};

autotune::TryRisky in_child(const host::DevicePtr& device, uint64_t hang_ns = 10'000'000'000) {
  return autotune::trial_in_child(device, reference_device(), {.executable = TRIAL_EXECUTABLE, .hang_ns = hang_ns});
}

class Faulty : public testing::TestWithParam<FaultyVariant> {};

TEST_P(Faulty, IsNamedAndNotChosen) {
  const FaultyVariant& fault = GetParam();
  const host::DevicePtr device = virtual_device(std::string("fault-") + fault.name);
  const FaultProduct product;
  autotune::Request request = virtual_request(device);
  request.budget_ns = 60'000'000'000;  // waiting for one that hangs costs 10 s of it
  // Short only where waiting is all there is to see: on a busy machine anything may take a while.
  request.try_risky = fault.verdict == "hung" ? in_child(device, 300'000'000) : in_child(device);
  const Outcome outcome = autotune::tune(device, product.op, request);
  const Candidate* row = outcome.find(fault.name);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(autotune::name_of(row->verdict), fault.verdict) << row->reason;
  EXPECT_NE(row->reason, "");
  EXPECT_EQ(outcome.chosen, "good") << outcome.why;
  if (!fault.ends_device)
    EXPECT_TRUE(outcome.decided) << outcome.why;
  else
    EXPECT_FALSE(outcome.decided) << outcome.why;
}

INSTANTIATE_TEST_SUITE_P(Variants, Faulty, testing::ValuesIn(faulty_variants().begin(), faulty_variants().end()),
                         [](const testing::TestParamInfo<FaultyVariant>& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Faults, AreManyAndAllTogetherNoneIsChosen) {
  EXPECT_GE(faulty_variants().size(), 40u);
  const host::DevicePtr device = virtual_device("all-faults");
  const FaultProduct product;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    autotune::Request request = virtual_request(device);
    request.seed = seed;
    request.budget_ns = request.build_budget_ns = 600'000'000'000;  // so that every one is looked at
    const Outcome outcome = autotune::tune(device, product.op, request);
    EXPECT_EQ(outcome.chosen, "good") << seed << ": " << outcome.why;
    for (const Candidate& c : outcome.candidates) {
      const bool good = c.variant == "good" || c.variant == "good-slower";
      EXPECT_EQ(autotune::is_right(c.verdict), good) << c.variant << " is " << autotune::name_of(c.verdict);
    }
  }
}

TEST(Faults, RiskyOnesAreLeftAloneWithoutAChild) {
  const host::DevicePtr device = virtual_device("fault-crashes");
  const FaultProduct product;
  const Outcome outcome = autotune::tune(device, product.op, virtual_request(device));
  EXPECT_EQ(outcome.find("crashes")->verdict, Verdict::skipped);
  EXPECT_EQ(outcome.chosen, "good");
}

/// Where a process died in a race, nobody knows by whom: each is tried in a child then, and those that pass are raced.
TEST(Faults, UnderSuspicionAllAreTriedInAChild) {
  const host::DevicePtr device = virtual_device("noise-none");
  const Product product(3, 4, 5);
  autotune::Request request = virtual_request(device);
  const std::string best = autotune::tune(device, product.op, request).chosen;
  std::vector<std::string> tried;
  request.suspicious = true;
  request.try_risky = [&, child = in_child(device)](const bp_op& op, const std::string& variant, uint64_t limit_ns,
                                                    std::string& reason) {
    tried.push_back(variant);
    return child(op, variant, limit_ns, reason);
  };
  const Outcome outcome = autotune::tune(device, product.op, request);
  EXPECT_EQ(outcome.chosen, best);
  EXPECT_EQ(tried.size(), outcome.candidates.size() - 1) << "all but the default";
}

/// Also the first one, of which nobody knows how long it will take.
TEST(Faults, ATrialKeepsTheTimeInAll) {
  const host::DevicePtr device = virtual_device("fault-blocks-for-ever");
  const FaultProduct product;
  autotune::Request request = virtual_request(device);
  request.try_risky = in_child(device);  // a launch there may take 10 s
  request.total_ns = 2'000'000'000;
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = autotune::tune(device, product.op, request);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(6));
  EXPECT_EQ(outcome.find("blocks-for-ever")->verdict, Verdict::over_budget);
  EXPECT_THAT(outcome.find("blocks-for-ever")->reason, testing::HasSubstr("no time was left"));
  EXPECT_EQ(outcome.chosen, "good");
}

TEST(Faults, ATrialThatCannotBeMadeIsNotAnAcquittal) {
  const host::DevicePtr device = virtual_device("fault-crashes");
  const FaultProduct product;
  std::string reason;
  const auto missing = autotune::trial_in_child(device, nullptr, {.executable = "/nowhere/backplane-trial"});
  EXPECT_EQ(missing(product.op, "crashes", UINT64_MAX, reason), Verdict::skipped);
  EXPECT_NE(reason, "");
  EXPECT_EQ(in_child(device)(product.op, "not a variant", UINT64_MAX, reason), Verdict::failed);
  bp_op custom = product.op;
  custom.code = BP_OP_CUSTOM;
  EXPECT_EQ(in_child(device)(custom, "crashes", UINT64_MAX, reason), Verdict::skipped);
}

}  // namespace
}  // namespace backplane::test
