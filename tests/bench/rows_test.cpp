// SPDX-License-Identifier: Apache-2.0
// What figures mean: shares of a roofline, intervals, percentiles, verdicts.
#include <gmock/gmock.h>

#include <cmath>

#include "fill_row.h"
#include "roofline.h"

namespace backplane::bench {
namespace {

using report::Bound;
using report::Ceiling;
using report::CeilingKind;
using report::Row;
using ::testing::ElementsAre;

const std::vector<Ceiling> kCeilings = {{"cpu:0", "f32", CeilingKind::fma, 0, 50, "GFLOP/s", {}},
                                        {"cpu:0", "f32", CeilingKind::matrix, 0, 200, "GFLOP/s", {}},
                                        {"cpu:0", "bf16", CeilingKind::matrix, 0, 400, "GFLOP/s", {}},
                                        {"cpu:0", "", CeilingKind::copy, 1 << 20, 80, "GB/s", {}},
                                        {"cpu:0", "", CeilingKind::read, 1 << 20, 100, "GB/s", {}},
                                        {"cpu:0", "", CeilingKind::copy, 1 << 28, 20, "GB/s", {}},
                                        {"cpu:0", "", CeilingKind::launch, 0, 1000, "ns", {}},
                                        {"gpu:0", "f32", CeilingKind::matrix, 0, 9999, "GFLOP/s", {}}};

Row row(double flops, double bytes, double ns, const char* dtype = "f32") {
  Row r;
  r.dtype = dtype, r.flops = flops, r.bytes = bytes, r.median_ns = ns;
  return r;
}

TEST(Roofline, SaysWhatBounds) {
  const Roofline roofline(kCeilings, "cpu:0");
  Row compute = row(2e9, 1e6, 2e7);  // 10 ms at 200 GFLOP/s
  roofline.judge(compute);
  EXPECT_EQ(compute.bound, Bound::compute);
  EXPECT_DOUBLE_EQ(*compute.roofline_share, 0.5);
  Row memory = row(1e6, 2.8e8, 1.4e7);  // beyond 256 MiB 20 GB/s: 14 ms
  roofline.judge(memory);
  EXPECT_EQ(memory.bound, Bound::memory);
  EXPECT_DOUBLE_EQ(*memory.roofline_share, 1);
  Row tiny = row(10, 100, 4000);
  roofline.judge(tiny);
  EXPECT_EQ(tiny.bound, Bound::launch);
  EXPECT_DOUBLE_EQ(*tiny.roofline_share, 0.25);
}

TEST(Roofline, KnowsCachesAndDtypes) {
  const Roofline roofline(kCeilings, "cpu:0");
  EXPECT_EQ(roofline.gbytes(1000), 100) << "small working sets may be as fast as the best that is not smaller";
  EXPECT_NEAR(*roofline.gbytes(1 << 24), std::sqrt(100 * 20), 1e-9) << "half way between 1 and 256 MiB";
  EXPECT_EQ(roofline.gbytes(1 << 28), 20);
  EXPECT_EQ(roofline.gbytes(1e12), 20) << "larger than all: the largest";
  EXPECT_EQ(roofline.gflops("bf16"), 400);
  EXPECT_EQ(roofline.gflops("f16"), 200) << "no ceiling of its own: f32's";
}

TEST(Roofline, ASmallerWorkingSetIsNotSlower) {
  const Roofline roofline({{"cpu:0", "", CeilingKind::copy, 1 << 16, 5, "GB/s", {}},
                           {"cpu:0", "", CeilingKind::read, 1 << 20, 50, "GB/s", {}}},
                          "cpu:0");
  EXPECT_EQ(roofline.gbytes(1 << 16), 50) << "that its launches cost more is not the memory's fault";
}

TEST(Roofline, HoldsOtherLibrariesToNothing) {
  Row peer = row(2e9, 1e6, 2e7);
  peer.choice = report::Choice::peer;
  Roofline(kCeilings, "cpu:0").judge(peer);
  EXPECT_FALSE(peer.roofline_share) << "the ceilings are those of this device's own kernels";
}

TEST(Roofline, IsRaisedToTheBestThatTheSweepHasSeen) {
  const auto share = [](const std::vector<Ceiling>& ceilings, Row r) {
    r.device = "cpu:0";
    Roofline(ceilings, "cpu:0").judge(r);
    return *r.roofline_share;
  };
  Row product = row(4e9, 1e6, 1e7), stream = row(1, 1 << 20, (1 << 20) / 120.0), tiny = row(10, 100, 500);
  for (Row* each : {&product, &stream, &tiny}) each->device = "cpu:0";
  Row winograd = product, peer = product;
  winograd.fewer_flops = true, winograd.median_ns = 1e6;
  peer.choice = report::Choice::peer, peer.median_ns = 1e6;
  std::vector<Ceiling> ceilings = kCeilings;
  raise_to_rows(ceilings, {winograd, peer});
  EXPECT_EQ(ceilings, kCeilings);
  EXPECT_DOUBLE_EQ(share(ceilings, product), 2);
  raise_to_rows(ceilings, {product, stream, tiny});
  for (const Row& each : {product, stream, tiny}) EXPECT_DOUBLE_EQ(share(ceilings, each), 1);
  EXPECT_EQ(Roofline(ceilings, "cpu:0").gbytes(1 << 28), 20) << "other working sets keep theirs";
  EXPECT_EQ(Roofline(ceilings, "gpu:0").gflops("f32"), 9999) << "and other devices";
}

TEST(Roofline, SaysNothingWithoutCeilingsOrTimes) {
  Row measured = row(1, 1, 1), refused;
  Roofline({}, "cpu:0").judge(measured);
  EXPECT_EQ(measured.bound, Bound::unknown);
  EXPECT_FALSE(measured.roofline_share);
  Roofline(kCeilings, "cpu:0").judge(refused);
  EXPECT_FALSE(refused.roofline_share);
}

TEST(MedianInterval, NeedsSixSamples) {
  EXPECT_FALSE(median_interval({1, 2, 3, 4, 5}));
  const auto interval = median_interval({6, 1, 5, 2, 4, 3});
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->low, 1);
  EXPECT_EQ(interval->high, 6);
}

TEST(MedianInterval, HoldsTheMedianInNineteenOfTwentyCases) {
  uint64_t state = 1;
  int held = 0;
  constexpr int kTrials = 2000;
  for (int t = 0; t < kTrials; ++t) {
    std::vector<double> samples;
    for (int i = 0; i < 25; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      samples.push_back(static_cast<double>(state >> 11) * 0x1p-53);
    }
    const auto interval = median_interval(samples);
    held += interval->low <= 0.5 && 0.5 <= interval->high;
  }
  EXPECT_GE(held, kTrials * 94 / 100);
}

Measurement measured(std::vector<double> samples, std::vector<int64_t> stretches) {
  Measurement m;
  m.of.push_back({quantile(samples, 0.5), quantile(samples, 0.1), quantile(samples, 0.9), 0, 0, samples});
  m.stretches = std::move(stretches);
  return m;
}

TEST(Times, HaveNoPercentilesFromTooFewSamples) {
  Row few, enough;
  fill_times(few, measured({1, 2, 3, 4, 5, 6, 7, 8, 9}, {9}), 0, report::Clock::host);
  fill_times(enough, measured({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {10}), 0, report::Clock::host);
  EXPECT_EQ(few.median_ns, 5);
  EXPECT_FALSE(few.p10_ns || few.p90_ns);
  EXPECT_TRUE(enough.p10_ns && enough.p90_ns);
  EXPECT_FALSE(enough.host_median_ns) << "only beside a device's clock";
}

TEST(Times, KeepABoundedNumberOfSamplesInTheirStretches) {
  std::vector<double> samples(1000);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<double>(i);
  std::vector<int64_t> stretches = {600, 1, 399};
  thin(samples, stretches, 128);
  EXPECT_LE(samples.size(), 128u);
  EXPECT_EQ(samples[1], 8);
  int64_t sum = 0;
  for (int64_t each : stretches) sum += each;
  EXPECT_EQ(static_cast<size_t>(sum), samples.size());
}

TEST(Ratio, IsPairedWithinRounds) {
  Measurement m = measured({10, 20, 40, 10, 20, 40}, {6});
  m.of.push_back({0, 0, 0, 0, 0, {11, 22, 44, 11, 22, 44}});
  const report::Ratio ratio = paired_ratio(m, 1, 0);
  EXPECT_NEAR(ratio.value, 1.1, 1e-12) << "the machine's changes of speed cancel";
  EXPECT_NEAR(ratio.interval.high, 1.1, 1e-12);
}

TEST(Verdict, BecomesAStatusWithItsReason) {
  autotune::Candidate candidate;
  candidate.variant = "tiled", candidate.verdict = autotune::Verdict::overrun,
  candidate.reason = "wrote behind output 0";
  Row r;
  fill_verdict(r, candidate);
  EXPECT_EQ(r.status, report::Status::wrong);
  EXPECT_EQ(r.reason, "overrun: wrote behind output 0");
  candidate.verdict = autotune::Verdict::raced, candidate.error = 1e-7, candidate.allowed = 1e-6;
  fill_verdict(r, candidate);
  EXPECT_EQ(r.status, report::Status::measured);
  EXPECT_FALSE(r.median_ns) << "the tuner's times are no row's";
  EXPECT_EQ(r.error, 1e-7);
}

}  // namespace
}  // namespace backplane::bench
