// SPDX-License-Identifier: Apache-2.0
// What the card promises beside right numbers: uploads that overtake nothing, recordings, time stamps, threads.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>

#include "cards/small_op.h"

namespace card_test {
namespace {

TEST(Queue, UploadsKeepTheirContentsAndTheirPlace) {
  Card& card = card_under_test();
  bp_error error = make_error();
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  std::vector<std::unique_ptr<Guarded>> results;
  std::vector<float> source(SmallGather::kCount);
  for (int round = 0; round < 50; ++round) {  // each upload is put in behind the launch that reads what was there
    for (float& value : source) value = static_cast<float>(round);
    ASSERT_EQ(card.queues->upload(card.queue, gather.x->view(0), source.data(), source.size() * 4, 0, &error), BP_OK);
    for (float& value : source) value = -1;
    results.push_back(std::make_unique<Guarded>(card, nullptr, source.size() * 4));
    ASSERT_EQ(gather.enqueue(gather.x->view(0), results.back()->view(0), &error), BP_OK) << error.message;
  }
  for (int round = 0; round < 50; ++round) {
    const std::vector<char> bytes = results[static_cast<size_t>(round)]->contents();
    EXPECT_EQ(read_element(BP_F32, bytes.data()), round);
    EXPECT_EQ(read_element(BP_F32, bytes.data() + bytes.size() - 4), round);
  }
}

/// From and to every place of the memory that buffers are cut from, by the host's addresses of other buffers, whose memory the
/// plugin's own staging takes afterwards. Some drivers lose transfers from where such memory begins.
TEST(Queue, TransfersReachAllOfTheMemory) {
  Card& card = card_under_test();
  bp_error error = make_error();
  constexpr uint64_t kBytes = 96u << 10;
  std::vector<bp_buffer*> blocks(24);
  for (bp_buffer*& block : blocks) ASSERT_EQ(card.memory->alloc(card.device, kBytes, BP_MEMORY_DEVICE, &block, &error), BP_OK);
  Guarded target(card, nullptr, kBytes);
  const auto keep_busy = [&] {  // so that nothing is copied on the spot
    const char zero = 0;
    ASSERT_EQ(card.queues->fill(card.queue, target.view(0), &zero, 1, kBytes, &error), BP_OK) << error.message;
  };
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::vector<char> wanted(kBytes, static_cast<char>(i + 1));
    void* here = nullptr;
    if (card.memory->host_pointer(blocks[i], &here, &error) >= 0) {
      std::memcpy(here, wanted.data(), kBytes);
      keep_busy();
      ASSERT_EQ(card.queues->upload(card.queue, target.view(0), here, kBytes, 1, &error), BP_OK) << error.message;
      EXPECT_TRUE(target.contents() == wanted) << "up from block " << i;
      std::memset(here, 0, kBytes);
      ASSERT_EQ(card.queues->upload(card.queue, target.view(0), wanted.data(), kBytes, 0, &error), BP_OK) << error.message;
      ASSERT_EQ(card.queues->download(card.queue, here, target.view(0), kBytes, &error), BP_OK) << error.message;
      ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK) << error.message;
      EXPECT_EQ(std::memcmp(here, wanted.data(), kBytes), 0) << "down to block " << i;
    }
    card.memory->free(blocks[i]);
    keep_busy();
    ASSERT_EQ(card.queues->upload(card.queue, target.view(0), wanted.data(), kBytes, 0, &error), BP_OK) << error.message;
    EXPECT_TRUE(target.contents() == wanted) << "staged where block " << i << " was";
    EXPECT_TRUE(target.guards_intact());
  }
}

TEST(Queue, LargeAndStableUploads) {
  Card& card = card_under_test();
  bp_error error = make_error();
  std::vector<char> source(40u << 20);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<char>(i * 7 >> 3);
  for (uint32_t stable : {0u, 1u}) {
    Guarded target(card, nullptr, source.size()), other(card, nullptr, source.size());
    const char zero = 0;
    ASSERT_EQ(card.queues->fill(card.queue, target.view(0), &zero, 1, source.size(), &error), BP_OK);
    ASSERT_EQ(card.queues->upload(card.queue, target.view(0), source.data(), source.size(), stable, &error), BP_OK);
    ASSERT_EQ(card.queues->copy(card.queue, other.view(0), target.view(0), source.size(), &error), BP_OK);
    EXPECT_TRUE(other.contents() == source);
    EXPECT_TRUE(other.guards_intact() && target.guards_intact());
  }
}

TEST(Queue, FillsRepeatPatternsAtAnyOffset) {
  Card& card = card_under_test();
  bp_error error = make_error();
  const char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (uint32_t unit : {1u, 2u, 4u, 8u}) {
    for (uint64_t offset : {0, 1, 2, 3, 4, 5, 7, 8, 9}) {
      for (uint64_t bytes : {8, 16, 40, 4000}) {
        Guarded target(card, nullptr, 5000);
        ASSERT_EQ(card.queues->fill(card.queue, target.view(offset), pattern, unit, bytes, &error), BP_OK)
            << error.message;
        std::vector<char> expected(5000, static_cast<char>(0xFF));
        for (uint64_t i = 0; i < bytes; ++i) expected[offset + i] = pattern[i % unit];
        EXPECT_TRUE(target.contents() == expected) << unit << " at " << offset << " for " << bytes;
      }
    }
  }
}

TEST(Queue, EventsOrderQueuesAndCanBeWaitedForWithALimit) {
  Card& card = card_under_test();
  bp_error error = make_error();
  bp_queue* other = nullptr;
  bp_event* event = nullptr;
  ASSERT_EQ(card.queues->create(card.device, &other, &error), BP_OK);
  ASSERT_EQ(card.queues->event_create(card.device, &event, &error), BP_OK);
  EXPECT_EQ(card.queues->event_sync(event, 0, &error), BP_OK) << "a new event is complete";
  constexpr uint64_t kBytes = 32u << 20;
  Guarded a(card, nullptr, kBytes), b(card, nullptr, kBytes, other);
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK);
  for (char round = 1; round < 4; ++round) {
    ASSERT_EQ(card.queues->fill(card.queue, a.view(0), &round, 1, kBytes, &error), BP_OK);
    ASSERT_EQ(card.queues->event_record(card.queue, event, &error), BP_OK);
    ASSERT_EQ(card.queues->event_wait(other, event, &error), BP_OK);
    ASSERT_EQ(card.queues->copy(other, b.view(0), a.view(0), kBytes, &error), BP_OK);
    const std::vector<char> copied = b.contents();
    EXPECT_TRUE(copied.front() == round && copied.back() == round);
    EXPECT_EQ(card.queues->event_sync(event, UINT64_MAX, &error), BP_OK);
  }
  ASSERT_EQ(card.queues->fill(card.queue, a.view(0), "x", 1, kBytes, &error), BP_OK);
  ASSERT_EQ(card.queues->event_record(card.queue, event, &error), BP_OK);
  bp_status status = card.queues->event_sync(event, 0, &error);
  EXPECT_TRUE(status == BP_OK || status == BP_NOT_READY);
  EXPECT_EQ(card.queues->event_sync(event, 10'000'000'000u, &error), BP_OK);
  card.queues->event_destroy(event);
  card.queues->destroy(other);
}

TEST(Capture, RecordsAndReplays) {
  Card& card = card_under_test();
  bp_error error = make_error();
  const auto* capture = card.interface<bp_capture_api>(BP_INTERFACE_CAPTURE);
  ASSERT_NE(capture, nullptr);
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  constexpr uint64_t kBytes = SmallGather::kCount * 4;
  Guarded twice(card, nullptr, kBytes), copied(card, nullptr, kBytes), filled(card, nullptr, 64);
  const std::vector<char> before = twice.contents();
  bp_event* event = nullptr;
  ASSERT_EQ(card.queues->event_create(card.device, &event, &error), BP_OK);

  ASSERT_EQ(capture->begin(card.queue, &error), BP_OK);
  EXPECT_EQ(capture->begin(card.queue, &error), BP_E_INVALID_ARGUMENT);
  ASSERT_EQ(gather.enqueue(&error), BP_OK) << error.message;
  ASSERT_EQ(gather.enqueue(gather.y->view(0), twice.view(0), &error), BP_OK) << error.message;
  ASSERT_EQ(card.queues->copy(card.queue, copied.view(0), gather.y->view(0), kBytes, &error), BP_OK);
  ASSERT_EQ(card.queues->fill(card.queue, filled.view(8), "ab", 2, 16, &error), BP_OK);
  ASSERT_EQ(card.queues->event_record(card.queue, event, &error), BP_OK);
  ASSERT_EQ(card.queues->event_wait(card.queue, event, &error), BP_OK);
  char byte = 0;
  EXPECT_EQ(card.queues->upload(card.queue, filled.view(0), &byte, 1, 0, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(card.queues->download(card.queue, &byte, filled.view(0), 1, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(card.queues->flush(card.queue, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(card.queues->finish(card.queue, &error), BP_E_INVALID_ARGUMENT);
  bp_recording* recording = nullptr;
  ASSERT_EQ(capture->end(card.queue, &recording, &error), BP_OK);
  EXPECT_EQ(capture->end(card.queue, &recording, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_TRUE(twice.contents() == before) << "recording runs nothing";

  bp_queue* other = nullptr;
  ASSERT_EQ(card.queues->create(card.device, &other, &error), BP_OK);
  for (bp_queue* queue : {card.queue, other}) {
    std::vector<float> source(SmallGather::kCount, queue == other ? 5.0f : 0.0f);
    for (size_t i = 0; queue != other && i < source.size(); ++i) source[i] = static_cast<float>(i);
    ASSERT_EQ(card.queues->upload(queue, gather.x->view(0), source.data(), kBytes, 0, &error), BP_OK);
    ASSERT_EQ(capture->replay(queue, recording, &error), BP_OK) << error.message;
    ASSERT_EQ(card.queues->finish(queue, &error), BP_OK) << error.message;
    EXPECT_EQ(card.queues->event_sync(event, 0, &error), BP_OK);
    EXPECT_EQ(std::memcmp(twice.contents().data(), source.data(), kBytes), 0) << "turned twice is as it was";
    EXPECT_TRUE(copied.contents() == gather.y->contents());
    EXPECT_EQ(filled.contents()[8], 'a');
    EXPECT_EQ(filled.contents()[24], static_cast<char>(0xFF));
  }
  capture->destroy(recording);
  card.queues->event_destroy(event);
  card.queues->destroy(other);
}

uint64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

TEST(Timing, StampsFollowTheClock) {
  Card card(card_facts().plugin, card_facts().settings);  // its queue is not timed yet
  const auto* timing = card.interface<bp_timing_api>(BP_INTERFACE_TIMING);
  ASSERT_NE(timing, nullptr);
  bp_error error = make_error();
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  bp_timer* timer = nullptr;
  ASSERT_EQ(timing->create(card.device, 3, &timer, &error), BP_OK);
  uint64_t ticks[3] = {};
  EXPECT_EQ(timing->read(timer, 0, 2, ticks, &error), BP_NOT_READY);
  ASSERT_EQ(gather.enqueue(&error), BP_OK);
  const uint64_t start = monotonic_ns();
  ASSERT_EQ(timing->stamp(card.queue, timer, 0, &error), BP_OK) << error.message;
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_EQ(gather.enqueue(&error), BP_OK);
  ASSERT_EQ(timing->stamp(card.queue, timer, 1, &error), BP_OK);
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK);
  const uint64_t end = monotonic_ns();
  ASSERT_EQ(timing->read(timer, 0, 2, ticks, &error), BP_OK) << error.message;
  EXPECT_GE(ticks[1] - ticks[0], 20'000'000u);
  EXPECT_LE(ticks[1] - ticks[0], end - start);
  EXPECT_EQ(timing->read(timer, 0, 3, ticks, &error), BP_NOT_READY);
  EXPECT_EQ(timing->stamp(card.queue, timer, 3, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_TRUE(gather.is_turned(*gather.y));

  uint64_t device = 0, host = 0, deviation = 0;
  ASSERT_EQ(timing->calibrate(card.device, &device, &host, &deviation, &error), BP_OK) << error.message;
  EXPECT_LT(deviation, 1'000'000'000u);
  // The stamps fall between what the host saw, by the calibration.
  const auto on_host = [&](uint64_t tick) {
    return static_cast<double>(host) + (static_cast<double>(tick) - static_cast<double>(device));
  };
  EXPECT_GE(on_host(ticks[0]), static_cast<double>(start) - static_cast<double>(deviation));
  EXPECT_LE(on_host(ticks[1]), static_cast<double>(end) + static_cast<double>(deviation));
  bp_timing_info info{};
  info.size = sizeof(info);
  ASSERT_EQ(timing->info(card.device, &info, &error), BP_OK);
  EXPECT_EQ(info.ns_per_tick, 1.0);
  timing->destroy(timer);
}

TEST(Threads, OneKernelOnManyQueues) {
  Card& card = card_under_test();
  bp_error error = make_error();
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      bp_error mine = make_error();
      bp_queue* queue = nullptr;
      ASSERT_EQ(card.queues->create(card.device, &queue, &mine), BP_OK);
      {
        SmallGather own(card, queue);
        const bp_view in[] = {own.x->view(0), own.indices->view(0)};
        const bp_view out = own.y->view(0);
        for (int i = 0; i < 200; ++i) {
          ASSERT_EQ(card.kernels->enqueue(queue, gather.kernel, in, &out, {nullptr, 0}, &mine), BP_OK) << mine.message;
        }
        EXPECT_TRUE(own.is_turned(*own.y));
        EXPECT_TRUE(own.y->guards_intact());
      }
      card.queues->destroy(queue);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Threads, OneTextIsCompiledOnce) {
  Card card(card_facts().plugin, card_facts().settings);  // nothing is compiled yet
  std::vector<std::thread> threads;
  std::vector<uint64_t> spent(4);
  for (uint64_t& each : spent) {
    threads.emplace_back([&] {
      bp_error error = make_error();
      bp_queue* queue = nullptr;
      ASSERT_EQ(card.queues->create(card.device, &queue, &error), BP_OK);
      {
        SmallGather gather(card, queue);
        ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
        each = gather.info.build_time_ns;
      }
      card.queues->destroy(queue);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(spent.begin(), spent.end(), 0u), 3);
}

}  // namespace
}  // namespace card_test
