// SPDX-License-Identifier: Apache-2.0
// Transfers, order, events, capture, time stamps, threads.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "support.h"

namespace vulkan_test {
namespace {

Card& card() {
  static const std::unique_ptr<Card> one = open_card();
  return *one;
}

bp_queue* new_queue() {
  bp_error error = make_error();
  bp_queue* queue = nullptr;
  EXPECT_EQ(card().queues->create(card().device, &queue, &error), BP_OK) << error.message;
  return queue;
}

TEST(VulkanQueue, WorkRunsInTheOrderItWasPutIn) {
  constexpr size_t n = 4096;
  const Ints a(card(), n), b(card(), n), order(card(), n);
  const Shuffle shuffle(card(), n);
  a.upload(count_up(n));
  order.upload(count_down(n));
  bp_error error = make_error();
  for (int round = 0; round < 201; ++round) {  // many times the number that is submitted at once
    ASSERT_EQ(shuffle.run(round % 2 == 0 ? a : b, order, round % 2 == 0 ? b : a, nullptr, &error), BP_OK)
        << error.message;
  }
  EXPECT_EQ(b.read(), count_down(n));
  // An upload comes after the launches before it, which read what was there.
  for (int round = 0; round < 20; ++round) {
    a.upload(count_up(n, round));
    shuffle.run(a, order, b);
    a.upload(count_up(n, -1));
    shuffle.run(b, order, a);
    EXPECT_EQ(a.read(), count_up(n, round)) << round;
  }
}

TEST(VulkanQueue, LargeCopiesArriveWhole) {
  constexpr size_t n = 9'000'001;  // beyond what is staged at once
  const Ints a(card(), n), b(card(), n);
  const std::vector<int32_t> values = count_up(n, 7);
  a.upload(values);
  bp_error error = make_error();
  ASSERT_EQ(card().queues->copy(card().queue, b.at(1), a.at(0), (n - 1) * 4, &error), BP_OK);
  a.upload(values);  // the queue is busy now
  const std::vector<int32_t> got = b.read();
  EXPECT_TRUE(std::equal(got.begin() + 1, got.end(), values.begin()));
  EXPECT_EQ(card().queues->upload(card().queue, b.at(1), values.data(), n * 4, 0, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_NE(std::string(error.message).find("outside a buffer of"), std::string::npos) << error.message;
}

TEST(VulkanQueue, EventsOrderQueues) {
  constexpr size_t n = 1024;
  const Ints a(card(), n), b(card(), n), order(card(), n);
  const Shuffle shuffle(card(), n);
  order.upload(count_down(n));
  card().queues->finish(card().queue, nullptr);
  bp_queue *first = new_queue(), *second = new_queue();
  bp_error error = make_error();
  bp_event *there = nullptr, *back = nullptr;
  ASSERT_EQ(card().queues->event_create(card().device, &there, &error), BP_OK);
  ASSERT_EQ(card().queues->event_create(card().device, &back, &error), BP_OK);
  EXPECT_EQ(card().queues->event_sync(there, 0, &error), BP_OK);  // a new event is complete
  for (int round = 0; round < 50; ++round) {
    a.upload(count_up(n, round), first);
    ASSERT_EQ(card().queues->event_record(first, there, &error), BP_OK);
    ASSERT_EQ(card().queues->event_wait(second, there, &error), BP_OK);
    ASSERT_EQ(shuffle.run(a, order, b, second), BP_OK);
    ASSERT_EQ(card().queues->event_record(second, back, &error), BP_OK);
    ASSERT_EQ(card().queues->event_wait(first, back, &error), BP_OK);
  }
  std::vector<int32_t> expected = count_up(n, 49);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(card().queues->event_sync(back, UINT64_MAX, &error), BP_OK);
  EXPECT_EQ(b.read(first), expected);
  // Work that nobody flushed is started by whoever waits for its event; events outlive their queue.
  a.upload(count_up(n), second);
  shuffle.run(a, order, b, second);
  card().queues->event_record(second, back, &error);
  EXPECT_EQ(card().queues->event_sync(back, UINT64_MAX, &error), BP_OK);
  card().queues->destroy(second);
  EXPECT_EQ(card().queues->event_sync(back, 0, &error), BP_OK);
  card().queues->destroy(first);
  card().queues->event_destroy(there);
  card().queues->event_destroy(back);
}

TEST(VulkanQueue, RecordingsReplay) {
  const auto* capture = card().interface<bp_capture_api>(BP_INTERFACE_CAPTURE);
  ASSERT_NE(capture, nullptr);
  constexpr size_t n = 512;
  const Ints a(card(), n), b(card(), n), order(card(), n), log(card(), n);
  const Shuffle shuffle(card(), n);
  order.upload(count_down(n));
  a.upload(count_up(n));
  bp_error error = make_error();
  const int64_t pattern = 0x0000000700000005;
  ASSERT_EQ(capture->begin(card().queue, &error), BP_OK) << error.message;
  shuffle.run(a, order, b);
  card().queues->copy(card().queue, a.at(0), b.at(0), n * 4, &error);
  ASSERT_EQ(card().queues->fill(card().queue, log.at(0), &pattern, 8, n * 4, &error), BP_OK) << error.message;
  EXPECT_EQ(card().queues->finish(card().queue, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(card().queues->flush(card().queue, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(card().queues->upload(card().queue, a.at(0), &n, 4, 0, &error), BP_E_INVALID_ARGUMENT);
  bp_recording* recording = nullptr;
  ASSERT_EQ(capture->end(card().queue, &recording, &error), BP_OK) << error.message;
  EXPECT_EQ(capture->end(card().queue, &recording, &error), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(a.read(), count_up(n));  // recorded, not run
  for (int times = 1; times <= 33; ++times) {
    ASSERT_EQ(capture->replay(card().queue, recording, &error), BP_OK) << error.message;
    if (times % 11 == 0) {
      EXPECT_EQ(a.read(), times % 2 == 1 ? count_down(n) : count_up(n)) << times;
    }
  }
  const std::vector<int32_t> filled = log.read();
  EXPECT_EQ(filled[0], 5);
  EXPECT_EQ(filled[n - 1], 7);
  bp_queue* other = new_queue();
  ASSERT_EQ(capture->replay(other, recording, &error), BP_OK) << error.message;
  EXPECT_EQ(a.read(other), count_up(n));
  card().queues->destroy(other);
  capture->destroy(recording);
}

TEST(VulkanQueue, ManyThreadsPrepareAndRun) {
  constexpr size_t n = 2048;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([t] {
      bp_queue* queue = new_queue();
      const Ints a(card(), n), b(card(), n), order(card(), n);
      order.upload(count_down(n), queue);
      for (int round = 0; round < 20; ++round) {
        const Shuffle shuffle(card(), n - static_cast<size_t>(round % 3));
        a.upload(count_up(n, t * 1000 + round), queue);
        shuffle.run(a, order, b, queue);
        EXPECT_EQ(b.read(queue)[3], t * 1000 + round + static_cast<int32_t>(n) - 4);
      }
      card().queues->destroy(queue);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Texel buffers reach over a part of a large block; which part is chosen by where an operand begins.
TEST(VulkanMemory, OperandsAreReadWhereverTheyLieInALargeBuffer) {
  constexpr size_t n = 4096, mib = 1 << 18;  // in elements
  const Ints large(card(), 300 * mib), order(card(), n), y(card(), n);
  order.upload(count_down(n));
  const Shuffle shuffle(card(), n);
  int32_t from = 0;
  for (const size_t place : {size_t{0}, 1 * mib + 1, 128 * mib - 100, 128 * mib, 256 * mib - 3, 300 * mib - n}) {
    const std::vector<int32_t> values = count_up(n, from += 10'000);
    bp_error error = make_error();
    ASSERT_EQ(card().queues->upload(card().queue, large.at(place), values.data(), n * 4, 0, &error), BP_OK) << error.message;
    const bp_view in[] = {large.at(place), order.at(0)}, out[] = {y.at(0)};
    ASSERT_EQ(card().kernels->enqueue(card().queue, shuffle.kernel, in, out, {}, &error), BP_OK) << error.message;
    EXPECT_EQ(y.read(), std::vector<int32_t>(values.rbegin(), values.rend())) << "from element " << place;
  }
}

TEST(VulkanMemory, HostMemoryIsUsedInPlace) {
  const auto* interop = card().interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  ASSERT_NE(interop, nullptr);
  constexpr size_t n = 16384;  // 64 KiB
  void* pages = mmap(nullptr, n * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const std::vector<int32_t> values = count_up(n);
  std::memcpy(pages, values.data(), n * 4);
  bp_error error = make_error();
  bp_buffer* buffer = nullptr;
  ASSERT_EQ(interop->import_host(card().device, pages, n * 4, BP_ACCESS_READ | BP_ACCESS_WRITE, &buffer, &error), BP_OK)
      << error.message;
  void* address = nullptr;
  EXPECT_EQ(card().memory->host_pointer(buffer, &address, &error), BP_OK);
  EXPECT_EQ(address, pages);
  const Ints order(card(), n), y(card(), n);
  order.upload(count_down(n));
  const Shuffle shuffle(card(), n);
  const bp_view in[] = {{buffer, 0}, order.at(0)}, out[] = {y.at(0)};
  EXPECT_EQ(card().kernels->enqueue(card().queue, shuffle.kernel, in, out, {}, &error), BP_OK) << error.message;
  EXPECT_EQ(y.read(), count_down(n));
  const bp_view back[] = {{buffer, 0}};
  const bp_view again[] = {y.at(0), order.at(0)};
  EXPECT_EQ(card().kernels->enqueue(card().queue, shuffle.kernel, again, back, {}, &error), BP_OK) << error.message;
  card().queues->finish(card().queue, &error);
  EXPECT_EQ(std::memcmp(pages, values.data(), n * 4), 0);
  card().memory->free(buffer);
  bp_buffer* odd = nullptr;
  EXPECT_EQ(interop->import_host(card().device, static_cast<char*>(pages) + 4, 100, BP_ACCESS_READ, &odd, &error),
            BP_E_UNSUPPORTED);
  EXPECT_NE(std::string(error.message).find("multiples of"), std::string::npos) << error.message;
  munmap(pages, n * 4);
  void* native = nullptr;
  EXPECT_EQ(interop->native(card().queue, BP_NATIVE_QUEUE, &native, &error), BP_OK);
  EXPECT_NE(native, nullptr);
  EXPECT_EQ(interop->native(card().queue, 77, &native, &error), BP_E_UNSUPPORTED);
}

TEST(VulkanMemory, IsCountedAndReported) {
  bp_error error = make_error();
  const auto used = [&] {
    bp_memory_usage usage{};
    usage.size = sizeof(usage);
    EXPECT_EQ(card().memory->usage(card().device, &usage, &error), BP_OK);
    return usage.used;
  };
  const uint64_t before = used();
  {
    const Ints a(card(), 1000), b(card(), 50'000'000);
    EXPECT_EQ(used(), before + 4000 + 200'000'000);
  }
  EXPECT_EQ(used(), before);
  const auto* telemetry = card().interface<bp_telemetry_api>(BP_INTERFACE_TELEMETRY);
  ASSERT_NE(telemetry, nullptr);
  bp_metric metrics[8];
  for (bp_metric& metric : metrics) metric = {}, metric.size = sizeof(metric);
  uint32_t count = 0;
  ASSERT_EQ(telemetry->sample(card().device, metrics, sizeof(bp_metric), 8, &count, &error), BP_OK) << error.message;
  ASSERT_GE(count, 2u);
  EXPECT_STREQ(metrics[0].name, "memory.used");
  EXPECT_EQ(metrics[0].value, static_cast<double>(before));
}

}  // namespace
}  // namespace vulkan_test
