// SPDX-License-Identifier: Apache-2.0
// Others are told from ourselves by arithmetic on what Linux says, so the arithmetic is tested with texts of /proc, and the
// parts that need a live process with threads of this one.
#include "busy.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <sstream>
#include <thread>

namespace backplane::bench {
namespace {

constexpr int64_t kMs = 1'000'000;

std::optional<Processors> processors_of(const std::string& text) {
  std::istringstream in(text);
  return parse_processors(in);
}

TEST(Processors, AreCountedAndTheirIdleAndStolenTimeAdded) {
  const auto all = processors_of("cpu  1686014 139312 127917 337791 2452 0 866 2024 0 0\n"
                                 "cpu0 834091 73947 64032 173731 1235 0 28 1000 0 0\n"
                                 "cpu1 851922 65364 63885 164059 1216 0 838 1023 0 0\n"
                                 "intr 81327\n"
                                 "processes 1692450\n");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->count, 2);
  EXPECT_EQ(all->idle_ns, (337791 + 2452) * 10 * kMs);
  EXPECT_EQ(all->stolen_ns, 2024 * 10 * kMs);
  EXPECT_EQ(all->started, 1692450);
}

TEST(Processors, AreUnknownWhereTheTextIsNot) {
  EXPECT_FALSE(processors_of(""));
  EXPECT_FALSE(processors_of("cpu  1 2 3\n"));
  EXPECT_FALSE(processors_of("cpu  1 2 3 4 5 6 7 8\n"));  // no processor of its own
}

/// Two processors. Without tasks, as in a container.
Moment moment(int64_t wall_ms, int64_t own_ms, int64_t idle_ms) {
  return {wall_ms * kMs, own_ms * kMs, {.count = 2, .idle_ns = idle_ms * kMs}, std::nullopt};
}

TEST(OthersWithoutTasks, AreWhatIsLeftOfTheMachinesTime) {
  // 300 ms of two processors: 200 ours, 100 idle, 300 somebody else's.
  EXPECT_EQ(others_ns(moment(1000, 50, 700), moment(1300, 250, 800)), 300 * kMs);
  EXPECT_DOUBLE_EQ(others_share(moment(1000, 50, 700), moment(1300, 250, 800)), 0.5);
}

TEST(OthersWithoutTasks, AreNobodyWhenOurOwnThreadsFillTheMachine) {
  // Four threads of ours on two processors wait for one another all the time: that is no business of others.
  const Moment from = moment(1000, 0, 0), to = moment(1300, 600, 0);
  EXPECT_EQ(others_ns(from, to), 0);
  EXPECT_LE(others_ns(from, to), others_allowed_ns(from, to));
}

TEST(OthersWithoutTasks, AreNeverLessThanNobody) {
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

/// Our threads wake one another: 300 ms of two processors, of which 160 are ours and 200 idle; 8 are a daemon's, and
/// the rest is what the kernel needed, which is nobody's.
class OthersByTask : public ::testing::Test {
 protected:
  OthersByTask() : from(moment(1000, 50, 700)), to(moment(1300, 210, 900)) {
    from.processors.started = to.processors.started = 70;
    from.tasks = {.ours = {{50, 25 * kMs}, {51, 25 * kMs}}, .others = {{1, 500 * kMs}, {7, 40 * kMs}}};
    to.tasks = {.ours = {{50, 105 * kMs}, {51, 105 * kMs}}, .others = {{1, 500 * kMs}, {7, 48 * kMs}}};
  }
  const int64_t left = 240 * kMs;  ///< of the machine's time
  Moment from, to;
};

TEST_F(OthersByTask, AreWhatTheirTasksTook) { EXPECT_EQ(others_ns(from, to), 8 * kMs); }

TEST_F(OthersByTask, AreTheHypervisorToo) {
  to.processors.stolen_ns = 20 * kMs;
  EXPECT_EQ(others_ns(from, to), 28 * kMs);
}

TEST_F(OthersByTask, AreTasksThatBeganSince) {
  to.processors.started += 2;
  to.tasks->ours[52] = 3 * kMs;
  to.tasks->others[8] = 30 * kMs;
  EXPECT_EQ(others_ns(from, to), 38 * kMs);
}

TEST_F(OthersByTask, AreWhatIsLeftWhereOneHasEnded) {
  to.tasks->others.erase(7);
  EXPECT_EQ(others_ns(from, to), left);
}

TEST_F(OthersByTask, AreWhatIsLeftWhereOneBeganAndEnded) {
  to.processors.started += 1;
  EXPECT_EQ(others_ns(from, to), left);
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
  EXPECT_EQ(to->processors.count, from->processors.count);
}

TEST(Moments, SeeAProcessThatSpins) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    while (true) {
    }
  }
  const auto from = Moment::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto to = Moment::now();
  clockid_t clock{};
  timespec spun{};
  EXPECT_EQ(clock_getcpuclockid(child, &clock), 0);
  EXPECT_EQ(clock_gettime(clock, &spun), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(from && to);
  // Before the first moment it had hardly begun; the kernel adds to its time at every tick.
  EXPECT_GE(others_ns(*from, *to), spun.tv_sec * 1000 * kMs + spun.tv_nsec - 50 * kMs);
}

TEST(Moments, DoNotTakeOurOwnThreadsForOthers) {
  std::atomic<int> turn{0};
  std::thread partner([&] {
    for (int now = turn; now >= 0; now = turn) {
      if (now == 1) turn = 0, turn.notify_one();
      turn.wait(0);
    }
  });
  const auto from = Moment::now();
  for (const int64_t end = now_ns() + 300 * kMs; now_ns() < end;) {
    turn = 1, turn.notify_one();
    turn.wait(1);
  }
  const auto to = Moment::now();
  turn = -1, turn.notify_one();
  partner.join();
  ASSERT_TRUE(from && to);
  if (to->tasks) {
    EXPECT_EQ(to->tasks->ours.size(), 2u);
    EXPECT_TRUE(to->tasks->ours.contains(gettid()));
    EXPECT_FALSE(to->tasks->others.contains(gettid()));
  }
  const int64_t own = to->own_ns - from->own_ns;
  ASSERT_GT(own, 30 * kMs);
  // Whatever runs beside this test: both together are no more than there is, which they would be if ours counted twice.
  EXPECT_LT(others_ns(*from, *to) + own, (to->wall_ns - from->wall_ns) * to->processors.count + own / 2);
}

}  // namespace
}  // namespace backplane::bench
