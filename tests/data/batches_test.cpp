// SPDX-License-Identifier: Apache-2.0
// Minibatches: every image once an epoch, the same order everywhere, and a thread that neither loses an error
// nor hangs.
#include "backplane/data/batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>

namespace backplane::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Image n has label n and all its pixels are n.
ImageSet numbered(int32_t count) {
  ImageSet set{count, 1, 2, 3, count, {}, {}};
  for (int32_t n = 0; n < count; ++n) {
    set.labels.push_back(n);
    set.pixels.insert(set.pixels.end(), 6, static_cast<uint8_t>(n));
  }
  return set;
}

std::vector<int32_t> labels_of_epoch(Batches& batches) {
  std::vector<int32_t> labels;
  Batch batch;
  while (batches.next(batch)) labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
  return labels;
}

TEST(Batches, GiveEveryImageOnceAnEpochWithItsLabel) {
  const ImageSet set = numbered(103);
  for (int64_t prefetch : {0, 1, 4}) {
    Batches batches(set, {.batch_size = 10, .prefetch = prefetch});
    EXPECT_EQ(batches.batches_per_epoch(), 11);
    for (int epoch = 0; epoch < 3; ++epoch) {
      std::vector<int> seen(103);
      Batch batch;
      int64_t index = 0;
      while (batches.next(batch)) {
        EXPECT_EQ(batch.epoch, epoch);
        EXPECT_EQ(batch.index, index++);
        ASSERT_THAT(batch.shape, ElementsAre(index == 11 ? 3 : 10, 1, 2, 3));
        ASSERT_EQ(batch.images.size(), batch.labels.size() * 6);
        for (size_t i = 0; i < batch.labels.size(); ++i) {
          ++seen[static_cast<size_t>(batch.labels[i])];
          for (size_t p = 0; p < 6; ++p)
            EXPECT_EQ(batch.images[i * 6 + p], static_cast<float>(batch.labels[i]) / 255.0f);
        }
      }
      EXPECT_EQ(index, 11);
      EXPECT_EQ(seen, std::vector<int>(103, 1));
    }
  }
}

TEST(Batches, OrderDependsOnSeedAndEpochAlone) {
  const ImageSet set = numbered(50);
  Batches ahead(set, {.batch_size = 7, .seed = 3, .prefetch = 4});
  Batches direct(set, {.batch_size = 7, .seed = 3, .prefetch = 0});
  Batches other(set, {.batch_size = 7, .seed = 4});
  const auto first = labels_of_epoch(ahead);
  const auto second = labels_of_epoch(ahead);
  EXPECT_EQ(labels_of_epoch(direct), first);
  EXPECT_NE(first, second);
  EXPECT_NE(labels_of_epoch(other), first);

  Batches resumed(set, {.batch_size = 7, .seed = 3});
  Batch batch;
  resumed.next(batch);
  resumed.seek(1);
  EXPECT_EQ(labels_of_epoch(resumed), second);
  resumed.seek(0);
  EXPECT_EQ(labels_of_epoch(resumed), first);
}

TEST(Batches, TheShuffleIsTheSameOnEveryMachine) {
  const ImageSet set = numbered(8);
  Batches batches(set, {.batch_size = 8, .seed = 42});
  // Recorded once; std::seed_seq and std::mt19937_64 are specified to the bit.
  EXPECT_THAT(labels_of_epoch(batches), ElementsAre(7, 2, 4, 5, 1, 0, 3, 6));
}

TEST(Batches, OptionsShapeTheBatches) {
  const ImageSet set = numbered(25);
  Batches batches(set,
                  {.batch_size = 10, .shuffle = false, .drop_last = true, .flat = true, .mean = 0.5f, .stddev = 0.25f});
  EXPECT_EQ(batches.batches_per_epoch(), 2);
  Batch batch;
  ASSERT_TRUE(batches.next(batch));
  EXPECT_THAT(batch.shape, ElementsAre(10, 6));
  EXPECT_THAT(batch.labels, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_FLOAT_EQ(batch.images[7 * 6], (7.0f / 255.0f - 0.5f) / 0.25f);
  ASSERT_TRUE(batches.next(batch));
  EXPECT_FALSE(batches.next(batch));
}

TEST(Batches, RefuseWhatMakesNoBatch) {
  const ImageSet set = numbered(5);
  const auto error = [&](const ImageSet& images, BatchOptions options) -> std::string {
    try {
      Batches batches(images, options);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error(set, {.batch_size = 0}), HasSubstr("batch_size"));
  EXPECT_THAT(error(set, {.batch_size = 6, .drop_last = true}), HasSubstr("no batch"));
  EXPECT_THAT(error(set, {.stddev = 0.0f}), HasSubstr("stddev"));
  EXPECT_THAT(error(set, {.prefetch = -1}), HasSubstr("prefetch"));
  EXPECT_THAT(error(numbered(0), {}), HasSubstr("positive extents"));
  ImageSet broken = set;
  broken.labels.pop_back();
  EXPECT_THAT(error(broken, {}), HasSubstr("5 images but 4 labels"));
}

TEST(Batches, EndEarlyWithoutWaiting) {
  const ImageSet set = numbered(200);
  for (int round = 0; round < 200; ++round) {
    Batches batches(set, {.batch_size = 3, .prefetch = 2});
    Batch batch;
    for (int i = 0; i < round % 5; ++i) ASSERT_TRUE(batches.next(batch));
    Batches moved = std::move(batches);
    ASSERT_TRUE(moved.next(batch));
  }
}

TEST(Prefetcher, RunsAheadAsFarAsItsDepthAndNoFurther) {
  std::atomic<int> made{0};
  Prefetcher prefetcher([&](Batch& batch) { return batch.index = made++, true; }, 3);
  const auto settled = [&](int want) {
    for (int i = 0; i < 2000 && made < want; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return made.load();
  };
  EXPECT_EQ(settled(3), 3);
  Batch batch;
  for (int64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(prefetcher.next(batch));
    EXPECT_EQ(batch.index, i);
  }
  EXPECT_EQ(settled(8), 8);
}

TEST(Prefetcher, AnExceptionReachesTheConsumerAfterTheBatchesBeforeIt) {
  int made = 0;
  Prefetcher prefetcher([&](Batch&) -> bool { return ++made <= 2 ? true : throw std::runtime_error("disk on fire"); },
                        8);
  Batch batch;
  EXPECT_TRUE(prefetcher.next(batch));
  EXPECT_TRUE(prefetcher.next(batch));
  for (int again = 0; again < 2; ++again) {
    try {
      prefetcher.next(batch);
      FAIL() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "disk on fire");
    }
  }
}

TEST(Prefetcher, EndsAndStaysEnded) {
  int made = 0;
  Prefetcher prefetcher([&](Batch&) { return ++made <= 3; }, 2);
  Batch batch;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(prefetcher.next(batch));
  EXPECT_FALSE(prefetcher.next(batch));
  EXPECT_FALSE(prefetcher.next(batch));
}

TEST(Prefetcher, ReusesTheMemoryOfTheConsumer) {
  std::atomic<int> fresh{0};
  Prefetcher prefetcher(
      [&](Batch& batch) {
        if (batch.images.capacity() < 1000) ++fresh;
        batch.images.resize(1000);
        return true;
      },
      2);
  Batch batch;
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(prefetcher.next(batch));
  EXPECT_LE(fresh, 5);
}

}  // namespace
}  // namespace backplane::data
