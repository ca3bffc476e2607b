// SPDX-License-Identifier: Apache-2.0
// Several GPUs of one process through the C ABI: copies between them (bp.peer) and groups (bp.collective), each rank a thread.
// On emulated GPUs there are two; on real ones (BACKPLANE_TEST_GPU=1) as many as there are, and a single one is a group, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "backplane/collective.h"
#include "backplane/peer.h"
#include "cards/card.h"

namespace card_test {
namespace {

/// A device with a queue and 64 floats of memory, and what the test puts there.
struct Rank {
  static constexpr uint64_t kFloats = 64;

  Rank(Card& card, uint32_t index) : card(card) {
    EXPECT_EQ(card.api->open(card.plugin, index, &device, &error), BP_OK) << error.message;
    EXPECT_EQ(card.queues->create(device, &queue, &error), BP_OK) << error.message;
    EXPECT_EQ(card.memory->alloc(device, 4 * kFloats, BP_MEMORY_DEVICE, &buffer, &error), BP_OK) << error.message;
  }
  ~Rank() {
    card.queues->destroy(queue);
    card.memory->free(buffer);
    card.api->close(device);
  }
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  bp_view at(uint64_t element) const { return {buffer, 4 * element}; }
  void write(uint64_t element, const std::vector<float>& values) {
    EXPECT_EQ(card.queues->upload(queue, at(element), values.data(), 4 * values.size(), 0, &error), BP_OK) << error.message;
  }
  std::vector<float> read(uint64_t element, uint64_t count) {
    std::vector<float> values(count);
    EXPECT_EQ(card.queues->download(queue, values.data(), at(element), 4 * count, &error), BP_OK) << error.message;
    EXPECT_EQ(card.queues->finish(queue, &error), BP_OK) << error.message;
    return values;
  }

  Card& card;
  bp_device* device = nullptr;
  bp_queue* queue = nullptr;
  bp_buffer* buffer = nullptr;
  bp_group* group = nullptr;
  bp_error error = make_error();
};

class Several : public testing::Test {
 protected:
  Several() {
    uint32_t count = 0;
    card_.api->devices(card_.plugin, nullptr, 0, 0, &count, nullptr);
    for (uint32_t i = 0; i < std::min(count, 4u); ++i) ranks_.push_back(std::make_unique<Rank>(card_, i));
  }
  ~Several() override {
    for (auto& rank : ranks_) {
      if (rank->group != nullptr) collective_->leave(rank->group);
    }
  }
  /// Each rank in a thread of its own.
  void on_each(const std::function<void(Rank&, uint32_t)>& work) {
    std::vector<std::thread> threads;
    for (uint32_t r = 0; r < size(); ++r) threads.emplace_back([&, r] { work(*ranks_[r], r); });
    for (std::thread& thread : threads) thread.join();
  }
  bool join() {
    bp_group_id id;
    bp_error error = make_error();
    EXPECT_EQ(collective_->make_id(ranks_[0]->device, &id, &error), BP_OK) << error.message;
    on_each([&](Rank& rank, uint32_t r) {
      EXPECT_EQ(collective_->join(rank.device, &id, size(), r, &rank.group, &rank.error), BP_OK) << rank.error.message;
    });
    return std::all_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->group != nullptr; });
  }
  uint32_t size() const { return static_cast<uint32_t>(ranks_.size()); }
  /// value(r) summed over all ranks.
  float sum(const std::function<float(float)>& value) const {
    float all = 0;
    for (uint32_t r = 0; r < size(); ++r) all += value(static_cast<float>(r));
    return all;
  }

  Card& card_ = card_under_test();
  const bp_collective_api* collective_ = card_.interface<bp_collective_api>(BP_INTERFACE_COLLECTIVE);
  const bp_peer_api* peer_ = card_.interface<bp_peer_api>(BP_INTERFACE_PEER);
  std::vector<std::unique_ptr<Rank>> ranks_;
};

TEST_F(Several, TheEmulatorHasTwo) {
  if (std::getenv("BACKPLANE_TEST_GPU") != nullptr) GTEST_SKIP() << "a machine with " << size();
  EXPECT_EQ(size(), 2u);
}

TEST_F(Several, CopiesBetweenDevicesAreOrderedByEvents) {
  if (size() < 2) GTEST_SKIP() << "one device";
  ASSERT_NE(peer_, nullptr);
  Rank &from = *ranks_[0], &to = *ranks_[1];
  bp_event* written = nullptr;
  ASSERT_EQ(card_.queues->event_create(from.device, &written, nullptr), BP_OK);
  from.write(0, {1, 2, 3, 4});
  ASSERT_EQ(card_.queues->event_record(from.queue, written, nullptr), BP_OK);
  ASSERT_EQ(card_.queues->event_wait(to.queue, written, &to.error), BP_OK) << to.error.message;
  ASSERT_EQ(peer_->copy(to.queue, to.at(8), from.device, from.at(1), 12, &to.error), BP_OK) << to.error.message;
  EXPECT_EQ(to.read(8, 3), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(peer_->copy(to.queue, to.at(60), from.device, from.at(0), 20, &to.error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(peer_->copy(to.queue, to.at(0), from.device, from.at(60), 20, &to.error), BP_E_INVALID_ARGUMENT);
  card_.queues->event_destroy(written);
}

TEST_F(Several, AllReduceAddsUpAlsoInPlace) {
  ASSERT_TRUE(join());
  on_each([&](Rank& rank, uint32_t r) {
    const auto x = static_cast<float>(r);
    rank.write(0, {x + 1, 10 * x, -x});
    const auto reduce = [&](bp_view to, bp_view of, uint32_t kind) {
      EXPECT_EQ(collective_->all_reduce(rank.queue, rank.group, to, of, 3, BP_F32, kind, &rank.error), BP_OK) << rank.error.message;
    };
    reduce(rank.at(8), rank.at(0), BP_REDUCE_MAX);
    reduce(rank.at(0), rank.at(0), BP_REDUCE_SUM);
  });
  const auto last = static_cast<float>(size() - 1);
  for (auto& rank : ranks_) {
    EXPECT_EQ(rank->read(8, 3), (std::vector<float>{last + 1, 10 * last, 0}));
    EXPECT_EQ(rank->read(0, 3), (std::vector<float>{sum([](float r) { return r + 1; }), sum([](float r) { return 10 * r; }),
                                                    sum([](float r) { return -r; })}));
  }
}

TEST_F(Several, BroadcastGatherAndScatter) {
  ASSERT_TRUE(join());
  const uint32_t root = size() - 1;
  on_each([&](Rank& rank, uint32_t r) {
    const auto x = static_cast<float>(r);
    rank.write(0, {x, x + 0.5f});
    std::vector<float> parts;
    for (uint32_t other = 0; other < size(); ++other) parts.push_back(100 * x + static_cast<float>(other));
    rank.write(4, parts);
    const auto ok = [&](bp_status status) { EXPECT_EQ(status, BP_OK) << rank.error.message; };
    ok(collective_->broadcast(rank.queue, rank.group, rank.at(16), r == root ? rank.at(0) : bp_view{}, 2, BP_F32, root, &rank.error));
    ok(collective_->all_gather(rank.queue, rank.group, rank.at(24), rank.at(0), 2, BP_F32, &rank.error));
    ok(collective_->reduce_scatter(rank.queue, rank.group, rank.at(40), rank.at(4), 1, BP_F32, BP_REDUCE_SUM, &rank.error));
  });
  const auto last = static_cast<float>(root);
  std::vector<float> gathered;
  for (uint32_t r = 0; r < size(); ++r) gathered.insert(gathered.end(), {static_cast<float>(r), static_cast<float>(r) + 0.5f});
  for (uint32_t r = 0; r < size(); ++r) {
    EXPECT_EQ(ranks_[r]->read(16, 2), (std::vector<float>{last, last + 0.5f}));
    EXPECT_EQ(ranks_[r]->read(24, 2 * size()), gathered);
    EXPECT_EQ(ranks_[r]->read(40, 1)[0], sum([r](float x) { return 100 * x + static_cast<float>(r); }));
  }
}

TEST_F(Several, WhatCannotBeIsRefusedBeforeAnyoneWaits) {
  ASSERT_TRUE(join());
  Rank& rank = *ranks_[0];
  const auto reduce = [&](uint64_t count, uint32_t dtype, uint32_t kind) {
    return collective_->all_reduce(rank.queue, rank.group, rank.at(0), rank.at(0), count, dtype, kind, &rank.error);
  };
  EXPECT_EQ(reduce(65, BP_F32, BP_REDUCE_SUM), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(reduce(UINT64_MAX / 2, BP_F32, BP_REDUCE_SUM), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(reduce(1, 99, BP_REDUCE_SUM), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(reduce(1, BP_BOOL, BP_REDUCE_SUM), BP_E_UNSUPPORTED);
  EXPECT_EQ(reduce(1, BP_F32, BP_REDUCE_ARGMAX), BP_E_UNSUPPORTED);
  EXPECT_EQ(collective_->broadcast(rank.queue, rank.group, rank.at(0), rank.at(0), 1, BP_F32, size(), &rank.error),
            BP_E_INVALID_ARGUMENT);
  bp_group* none = nullptr;
  bp_group_id id{};
  EXPECT_EQ(collective_->join(rank.device, &id, 2, 2, &none, &rank.error), BP_E_INVALID_ARGUMENT);
}

/// Rank 0 waits for the others, in the call or in its queue; they never come.
TEST_F(Several, AbortEndsWhatWaits) {
  if (size() < 2) GTEST_SKIP() << "one device";
  ASSERT_TRUE(join());
  Rank& rank = *ranks_[0];
  const auto reduce = [&] {
    return collective_->all_reduce(rank.queue, rank.group, rank.at(0), rank.at(0), 3, BP_F32, BP_REDUCE_SUM, &rank.error);
  };
  const auto start = std::chrono::steady_clock::now();
  std::thread waiting([&] {
    reduce();
    card_.queues->finish(rank.queue, nullptr);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  for (auto& each : ranks_) collective_->abort(each->group);
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  EXPECT_EQ(reduce(), BP_E_CANCELLED);
  EXPECT_STREQ(rank.error.message, "[collective] the group was given up");
  collective_->abort(rank.group);  // once more changes nothing
  collective_->abort(nullptr);
}

/// In a process that starts anew, since the library is looked for once.
TEST(SeveralWithoutNccl, IsUnavailableByName) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  auto settings = card_facts().settings;
  settings["cuda.nccl"] = "/no/such/libnccl.so.2";
  EXPECT_EXIT(
      {
        Card card(card_facts().plugin, settings);
        bp_group_id id;
        bp_error error = make_error();
        const auto* collective = card.interface<bp_collective_api>(BP_INTERFACE_COLLECTIVE);
        const bp_status status = collective->make_id(card.device, &id, &error);
        std::fprintf(stderr, "%s\n", error.message);
        std::_Exit(status == BP_E_UNAVAILABLE ? 0 : 1);
      },
      testing::ExitedWithCode(0), "no NCCL \\(libnccl.so.2\\)");
}

}  // namespace
}  // namespace card_test
