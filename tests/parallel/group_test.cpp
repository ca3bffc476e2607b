// SPDX-License-Identifier: Apache-2.0
// Groups of devices of different plugins, added up in the host's memory: values, and that nobody waits for ever.
#include <chrono>
#include <thread>

#include "backplane/parallel/group.h"
#include "frontend/support.h"

namespace backplane::tests {
namespace {

using parallel::Combine;
using parallel::Group;
using parallel::Rank;
using parallel::RankError;
using parallel::Reduction;

class Groups : public testing::Test {
 protected:
  std::vector<Device> devices_{Device("reference:0"), Device("toy_cpp:0"), Device("toy_c:0")};
  Group group_{devices_, Reduction::host};

  /// What run() throws, with the rank it names.
  static std::string failure_of(Group& group, uint32_t rank, const std::function<void(Rank&)>& work) {
    const auto start = std::chrono::steady_clock::now();
    std::string text;
    try {
      group.run(work);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const RankError& error) {
      EXPECT_EQ(error.rank(), rank);
      text = error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    return text;
  }
};

TEST_F(Groups, EachRankHasItsThreadAndDevice) {
  std::vector<std::thread::id> threads(3);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> names(3);
    group_.run([&](Rank& rank) {
      EXPECT_EQ(rank.size(), 3u);
      names[rank.index()] = default_device().name();
      const auto now = std::this_thread::get_id();
      if (round == 1) {
        EXPECT_EQ(threads[rank.index()], now) << "the same one again";
      }
      threads[rank.index()] = now;
    });
    EXPECT_THAT(names, ElementsAre("reference:0", "toy_cpp:0", "toy_c:0"));
  }
  EXPECT_EQ(group_.describe(), "reference:0, toy_cpp:0, toy_c:0; sums in the host's memory");
}

TEST_F(Groups, SumsAndMeansOfEveryDtype) {
  for (const DType dtype : {f32, f64, f16, bf16, i32, i64}) {
    std::vector<Tensor> sums(3), means(3);
    group_.run([&](Rank& rank) {
      const float r = static_cast<float>(rank.index());
      const std::vector<float> mine = {r + 1, 10 * r, -r, 0.5f};
      const Tensor x = Tensor::from(mine, {2, 2}, rank.device());
      sums[rank.index()] = rank.all_reduce(x.to(dtype));
      if (is_float(dtype)) means[rank.index()] = rank.all_reduce(x.to(dtype), Combine::mean);
    });
    for (size_t r = 0; r < 3; ++r) {
      const float last = is_float(dtype) ? 1.5f : 0;
      EXPECT_THAT(values(sums[r]), ElementsAre(6, 30, -3, last)) << name_of(dtype) << r;
      EXPECT_EQ(sums[r].dtype(), dtype);
      EXPECT_EQ(sums[r].shape(), Shape({2, 2}));
      EXPECT_EQ(sums[r].device().name(), devices_[r].name());
      if (is_float(dtype)) expect_near(means[r], {2, 10, -1, 0.5f}, 1e-2f);
    }
  }
}

TEST_F(Groups, SumsAreTheSameBitsEverywhereAndEveryTime) {
  std::vector<std::vector<std::byte>> first;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::vector<std::byte>> bits(3);
    group_.run([&](Rank& rank) {
      std::vector<float> mine(1001);
      for (size_t i = 0; i < mine.size(); ++i) mine[i] = std::sin(static_cast<float>(i * 7 + rank.index()));
      bits[rank.index()] = rank.all_reduce(Tensor::from(mine, {1001}, rank.device())).to_bytes();
    });
    if (round == 0) first = bits;
    EXPECT_TRUE(bits[0] == bits[1] && bits[1] == bits[2] && bits == first);
  }
}

TEST_F(Groups, ViewsEmptyTensorsAndBroadcasts) {
  group_.run([&](Rank& rank) {
    const float r = static_cast<float>(rank.index());
    const Tensor x = Tensor::from(std::vector<float>{r, 1, 2, 3, 4, 5}, {2, 3}, rank.device());
    EXPECT_THAT(values(rank.all_reduce(transpose(x))), ElementsAre(3, 9, 3, 12, 6, 15));
    EXPECT_THAT(values(rank.all_reduce(slice(x, 0, 1, 2))), ElementsAre(9, 12, 15));
    EXPECT_EQ(rank.all_reduce(slice(x, 0, 0, 0)).elements(), 0);
    EXPECT_THAT(values(rank.broadcast(x, 2)), ElementsAre(2, 1, 2, 3, 4, 5));
    EXPECT_THAT(values(rank.broadcast(x)), ElementsAre(0, 1, 2, 3, 4, 5));
  });
}

TEST_F(Groups, RandomNumbersAreEachRanksOwn) {
  std::vector<std::vector<float>> drawn(3), again(3);
  const auto draw = [](std::vector<std::vector<float>>& into) {
    manual_seed(3);
    Group({Device("reference:0"), Device("toy_cpp:0"), Device("toy_c:0")}, Reduction::host).run([&](Rank& rank) {
      into[rank.index()] = random_uniform({64}).to_vector<float>();
    });
  };
  draw(drawn);
  draw(again);
  EXPECT_EQ(drawn, again) << "the same seed";
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_NE(drawn[1], drawn[2]);
}

// Ranks that do not agree ------------------------------------------------------------------------------------------

TEST_F(Groups, ARankThatThrowsEndsThoseThatWait) {
  const auto work = [](Rank& rank) {
    const Tensor x = ones({4});
    rank.all_reduce(x);
    if (rank.index() == 2) throw std::runtime_error("[data] a bad sample");
    rank.all_reduce(x);
  };
  EXPECT_EQ(failure_of(group_, 2, work), "[parallel] rank 2 (toy_c:0) failed: [data] a bad sample");
  EXPECT_THAT(failure_of(group_, 2, [](Rank&) {}), HasSubstr("a bad sample")) << "a failed group says so again";
}

TEST_F(Groups, ARankThatEndsEarlyIsNamed) {
  const auto early = [](Rank& rank) {
    if (rank.index() != 1) rank.all_reduce(ones({4}));
  };
  try {
    group_.run(early);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RankError& error) {  // whoever noticed first
    EXPECT_THAT(error.what(), HasSubstr("has ended without its all_reduce of 4 f32"));
  }
}

TEST_F(Groups, DifferentCallsAreRefused) {
  for (const int64_t count : {4, 5}) {
    Group group(devices_, Reduction::host);
    try {
      group.run([&](Rank& rank) {
        if (rank.index() == 0 && count == 5) rank.broadcast(ones({4}));
        else rank.all_reduce(ones({rank.index() == 0 ? 7 : 4}));
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const RankError& error) {
      EXPECT_THAT(error.what(), HasSubstr(count == 5 ? "broadcast of 4 f32 from rank 0" : "all_reduce of 7 f32"));
      EXPECT_THAT(error.what(), HasSubstr("make the same calls in the same order on every rank"));
    }
  }
}

TEST_F(Groups, WhatCannotBeReducedIsRefused) {
  EXPECT_THAT(failure_of(group_, 1,
                         [](Rank& rank) {
                           const Device host("reference:0");
                           rank.all_reduce(rank.index() == 1 ? ones({2}, f32, host) : ones({2}));
                         }),
              HasSubstr("[all_reduce] the tensor is on reference:0, rank 1 on toy_cpp:0"));
  Group again(devices_, Reduction::host);
  EXPECT_THAT(failure_of(again, 0, [](Rank& rank) { rank.broadcast(ones({2}), rank.index() == 0 ? 3 : 0); }),
              HasSubstr("there is no rank 3 of 3"));
  Group third(devices_, Reduction::host);
  EXPECT_THAT(
      failure_of(third, 0, [](Rank& rank) { rank.all_reduce(rank.index() == 0 ? equal(ones({2}), 1) : ones({2})); }),
      HasSubstr("a bool has no sum"));
  Group fourth(devices_, Reduction::host);
  EXPECT_THAT(failure_of(fourth, 2,
                         [](Rank& rank) {
                           rank.all_reduce(ones({2}, rank.index() == 2 ? i32 : f32), Combine::mean);
                         }),
              HasSubstr("the mean of integers is none"));
}

// Asked for by name --------------------------------------------------------------------------------------------------

TEST_F(Groups, ThePluginIsNeverReplacedSilently) {
  EXPECT_THAT(
      message_of([&] { Group group(devices_); }),
      AllOf(HasSubstr("reference:0 and toy_cpp:0 are devices of different plugins"), HasSubstr("Reduction::host")));
  EXPECT_THAT(message_of([&] { Group group({devices_[0]}); }),
              AllOf(HasSubstr("plugin 'reference' makes no groups"), HasSubstr("--reduction host")));
  EXPECT_THAT(message_of([&] {
                Group group({devices_[0], devices_[1], devices_[0]}, Reduction::host);
              }),
              HasSubstr("reference:0 is named twice"));
  EXPECT_THAT(message_of([] { Group group({}, Reduction::host); }), HasSubstr("without devices"));
  EXPECT_THAT(message_of([] { parallel::reduction_from("gpu"); }), HasSubstr("say plugin or host"));
}

}  // namespace
}  // namespace backplane::tests
