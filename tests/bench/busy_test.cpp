// SPDX-License-Identifier: Apache-2.0
// Others are told from ourselves by arithmetic on what Linux says, so the arithmetic is tested with texts of /proc, and the
// parts that need a live process with threads of this one.
#include "busy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <sstream>
#include <thread>

namespace backplane::bench {
namespace {

constexpr int64_t kMs = 1'000'000;

std::optional<Idle> idle_of(const std::string& text) {
  std::istringstream in(text);
  return parse_idle(in);
}

TEST(Idle, AddsIdleAndWaitingTimeAndCountsProcessors) {
  const auto idle = idle_of("cpu  1686014 139312 127917 337791 2452 0 866 2024 0 0\n"
                            "cpu0 834091 73947 64032 173731 1235 0 28 1000 0 0\n"
                            "cpu1 851922 65364 63885 164059 1216 0 838 1023 0 0\n"
                            "intr 81327\n");
  ASSERT_TRUE(idle);
  EXPECT_EQ(idle->processors, 2);
  EXPECT_EQ(idle->idle_ns, (337791 + 2452) * 10 * kMs);
}

TEST(Idle, IsUnknownWhereTheTextIsNot) {
  EXPECT_FALSE(idle_of(""));
  EXPECT_FALSE(idle_of("cpu  1 2 3\n"));
  EXPECT_FALSE(idle_of("cpu  1 2 3 4 5 6 7\n"));  // no processor of its own
}

Moment moment(int64_t wall_ms, int64_t own_ms, int64_t idle_ms) {
  return {wall_ms * kMs, own_ms * kMs, {idle_ms * kMs, 2}};
}

TEST(Others, AreWhatIsLeftOfTheMachinesTime) {
  // 300 ms of two processors: 200 ours, 100 idle, 300 somebody else's.
  EXPECT_EQ(others_ns(moment(1000, 50, 700), moment(1300, 250, 800)), 300 * kMs);
}

TEST(Others, AreNobodyWhenOurOwnThreadsFillTheMachine) {
  // Four threads of ours on two processors wait for one another all the time: that is no business of others.
  const Moment from = moment(1000, 0, 0), to = moment(1300, 600, 0);
  EXPECT_EQ(others_ns(from, to), 0);
  EXPECT_LE(others_ns(from, to), others_allowed_ns(from, to));
}

TEST(Others, AreNeverLessThanNobody) {
  // The clock of idle time steps in hundredths of a second, and may be ahead.
  EXPECT_EQ(others_ns(moment(1000, 0, 0), moment(1300, 300, 310)), 0);
}

TEST(Others, MayTakeThreePercentAndTheClocksStep) {
  const Moment from = moment(0, 0, 0);
  const auto fits = [&](int64_t others_ms) {
    const Moment to = moment(1000, 1000, 1000 - others_ms);
    return others_ns(from, to) <= others_allowed_ns(from, to);
  };
  EXPECT_TRUE(fits(80));
  EXPECT_FALSE(fits(81));
  EXPECT_FALSE(fits(1000));
}

bool runs(const std::string& text) {
  std::istringstream in(text);
  return is_running(in);
}

TEST(Running, IsReadAfterTheLastBracketOfTheName) {
  EXPECT_TRUE(runs("12 (bench) R 1 12"));
  EXPECT_FALSE(runs("12 (bench) S 1 12"));
  EXPECT_FALSE(runs("12 (a) R b) S 1 12"));
  EXPECT_TRUE(runs("12 (a) S b) R 1 12"));
  EXPECT_FALSE(runs(""));
}

TEST(Settle, WaitsForThreadsThatSpin) {
  std::atomic<bool> stop{false}, spins{false};
  std::thread worker([&] {
    while (!stop) spins = true;
  });
  while (!spins) std::this_thread::yield();
  EXPECT_FALSE(settle(20 * kMs));
  stop = true;
  worker.join();
  EXPECT_TRUE(settle(1000 * kMs));
}

TEST(Settle, ReturnsAtOnceWhenThreadsSleep) {
  std::atomic<bool> stop{false};
  std::thread worker([&] { stop.wait(false); });
  EXPECT_TRUE(settle(10'000 * kMs));
  stop = true;
  stop.notify_all();
  worker.join();
}

TEST(Moments, GrowWithTheWorkOfThisProcess) {
  const auto from = Moment::now();
  ASSERT_TRUE(from) << "/proc/stat is not readable";
  const int64_t end = now_ns() + 50 * kMs;
  while (now_ns() < end) {
  }
  const auto to = Moment::now();
  ASSERT_TRUE(to);
  EXPECT_GT(to->own_ns, from->own_ns);
  EXPECT_GE(to->wall_ns - from->wall_ns, 50 * kMs);
  EXPECT_EQ(to->idle.processors, from->idle.processors);
}

}  // namespace
}  // namespace backplane::bench
