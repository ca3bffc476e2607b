// SPDX-License-Identifier: Apache-2.0
// Two sides that take turns, here as threads.
#include "turns.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

namespace backplane::bench {
namespace {

namespace fs = std::filesystem;

class TwoSides : public ::testing::Test {
 protected:
  ~TwoSides() override { fs::remove(file); }
  const std::string file = fs::temp_directory_path() / ("backplane-turns-" + std::to_string(getpid()));
};

TEST_F(TwoSides, AreNeverAtItAtOnceAndAlternate) {
  constexpr int kWindows = 20;
  std::string order;  // only touched by who has the turn
  std::atomic<int> inside{0}, most{0};
  std::vector<int64_t> said[2];
  const auto play = [&](int side) {
    Turns turns(file + ":" + std::to_string(side));
    for (const char* row : {"first", "second"}) {
      ASSERT_TRUE(turns.meet(row));
      for (int w = 0; w < kWindows; ++w) {
        if (w > 0) turns.pass();
        turns.take();
        most = std::max<int>(most, ++inside);
        order += static_cast<char>('0' + side);
        said[side] = turns.agreed([&] { return std::vector<int64_t>{side + 1, 7}; });
        --inside;
      }
      turns.leave();
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(order.size(), 4u * kWindows);
  for (size_t i = 1; i < order.size(); ++i) EXPECT_TRUE(order[i] != order[i - 1] || i == 2 * kWindows) << order;
  EXPECT_EQ(said[0], said[1]) << "what the first one says holds for both";
}

TEST_F(TwoSides, GoOnAloneWhenTheOtherHasLeft) {
  Turns one(file + ":0");
  std::thread other([&] {
    Turns two(file + ":1");
    EXPECT_TRUE(two.meet("row"));
    two.take();
    two.pass();
  });
  EXPECT_TRUE(one.meet("row"));
  one.take();
  one.pass();
  other.join();
  for (int w = 0; w < 3; ++w) one.take(), one.pass();  // it would wait for five seconds
  one.leave();
}

TEST_F(TwoSides, HaveANumberEach) {
  EXPECT_THROW(Turns{file}, std::runtime_error);
  EXPECT_THROW(Turns{file + ":2"}, std::runtime_error);
  EXPECT_THROW(Turns{"/proc/nowhere:0"}, std::runtime_error);
}

}  // namespace
}  // namespace backplane::bench
