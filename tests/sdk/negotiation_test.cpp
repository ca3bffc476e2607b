// SPDX-License-Identifier: Apache-2.0
// What the SDK writes once for all authors: growth rules, exceptions at the boundary, failing queues.
#include <gmock/gmock.h>

#include "backplane/sdk/sdk.hpp"

namespace backplane::sdk {
namespace {

using ::testing::HasSubstr;

bp_error fresh_error() {
  bp_error error{};
  error.size = sizeof(error);
  return error;
}

TEST(Text, IsCutBeforeACharacterThatDoesNotFit) {
  char target[8];
  copy_text(target, sizeof(target), "abcdef\xC3\xA4");  // 8 bytes and a NUL: the last character takes two
  EXPECT_STREQ(target, "abcdef");
  copy_text(target, sizeof(target), "abcde\xC3\xA4");
  EXPECT_STREQ(target, "abcde\xC3\xA4");
  copy_text(target, sizeof(target), "abcd\xF0\x9F\x98\x80");
  EXPECT_STREQ(target, "abcd");
  copy_text(target, 1, "\xC3\xA4");
  EXPECT_STREQ(target, "");
  bp_error error = fresh_error();
  fill_error(&error, BP_E_INTERNAL, std::string(471, 'x') + "\xC3\xA4");
  EXPECT_EQ(std::string(error.message), std::string(471, 'x'));
}

TEST(Errors, AForeignSizeIsLeftAlone) {
  bp_error error = fresh_error();
  error.size = 16;
  EXPECT_EQ(fill_error(&error, BP_E_COMPILE, "text"), BP_E_COMPILE);
  EXPECT_EQ(error.code, BP_OK);
  EXPECT_EQ(fill_error(nullptr, BP_E_COMPILE, "text"), BP_E_COMPILE);
}

TEST(Guard, StopsEveryKindOfException) {
  bp_error error = fresh_error();
  EXPECT_EQ(guard(&error, [] { throw Failure(BP_E_DEVICE_LOST, "gone", BP_SCOPE_DEVICE, 0, "test", -4); }),
            BP_E_DEVICE_LOST);
  EXPECT_EQ(error.scope, static_cast<uint32_t>(BP_SCOPE_DEVICE));
  EXPECT_EQ(error.native_code, -4);
  EXPECT_STREQ(error.domain, "test");
  EXPECT_EQ(guard(&error, [] { throw std::bad_alloc(); }), BP_E_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(error.flags, static_cast<uint32_t>(BP_ERROR_RETRYABLE));
  EXPECT_EQ(guard(&error, [] { throw std::out_of_range("past the end"); }), BP_E_INTERNAL);
  EXPECT_STREQ(error.message, "past the end");
  EXPECT_EQ(guard(&error, [] { throw 42; }), BP_E_INTERNAL);
  EXPECT_THAT(error.message, HasSubstr("internal"));
  EXPECT_EQ(guard(nullptr, [] { throw "text"; }), BP_E_INTERNAL);
  EXPECT_EQ(guard(&error, [] {}), BP_OK);
  EXPECT_EQ(guard(&error, []() -> bp_status { return BP_NOT_READY; }), BP_NOT_READY);
}

TEST(Growth, AShorterInputIsCompletedWithZeros) {
  bp_sort_attrs attrs{8, 3, 7, 7};  // the host knows size and axis only
  const bp_sort_attrs read = read_input(&attrs, "bp_sort_attrs");
  EXPECT_EQ(read.size, sizeof(bp_sort_attrs));
  EXPECT_EQ(read.axis, 3u);
  EXPECT_EQ(read.descending, 0u);
}

TEST(Growth, ALongerInputIsFineWhileItsTailIsZero) {
  struct {
    bp_axis_attrs attrs;
    char tail[8];
  } later{{sizeof(later), 1}, {}};
  EXPECT_EQ(read_input(&later.attrs, "bp_axis_attrs").axis, 1u);
  later.tail[7] = 1;
  try {
    read_input(&later.attrs, "bp_axis_attrs");
    FAIL() << "accepted";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, BP_E_UNSUPPORTED);
  }
  later.attrs.size = 3;
  EXPECT_THROW(read_input(&later.attrs, "bp_axis_attrs"), Failure);
  EXPECT_THROW(read_input(static_cast<const bp_op*>(nullptr), "bp_op"), Failure);
}

TEST(Growth, OutputsAreWrittenToTheCallersSizeOnly) {
  bp_kernel_info info;
  std::memset(&info, 0xC3, sizeof(info));
  info.size = 16;
  const bp_kernel_info value{sizeof(value), 0, 4096, 5, "name"};
  write_output(&info, value, sizeof(info));
  EXPECT_EQ(info.size, 16u);
  EXPECT_EQ(info.workspace, 4096u);
  EXPECT_EQ(info.build_time_ns, 0xC3C3C3C3C3C3C3C3u);
}

int g_logged = 0;
void count_log(void*, int32_t, const char*, const char*) { ++g_logged; }
bp_status long_config(void*, const char* key, char* value, uint64_t capacity, uint64_t* length) {
  if (std::string_view(key) != "long") return BP_E_NOT_FOUND;
  *length = 100;
  if (capacity < 101) return BP_INCOMPLETE;
  std::memset(value, 'v', 100);
  value[100] = '\0';
  return BP_OK;
}

TEST(HostServices, MissingOnesDoNothing) {
  bp_host table{};
  table.size = offsetof(bp_host, config);  // an older host, which has `log` only
  table.abi_version = BP_VERSION(1, 0);
  table.log = count_log;
  table.config = long_config;
  const Host old(&table);
  old.log(BP_LOG_INFO, "test", "line");
  EXPECT_EQ(g_logged, 1);
  EXPECT_EQ(old.config("long"), std::nullopt);
  EXPECT_EQ(old.cache_get("key"), std::nullopt);
  old.cache_put("key", "x", 1);
  old.device_event(0, fresh_error());
  table.size = sizeof(table);
  EXPECT_EQ(Host(&table).config("long"), std::string(100, 'v'));
  EXPECT_EQ(Host(&table).config("other"), std::nullopt);
}

struct Throwing : HostKernel {
  void run(const bp_view*, const bp_view*, const bp_view&) const override { throw Failure(BP_E_INTERNAL, "first"); }
};
struct Counting : HostKernel {
  void run(const bp_view*, const bp_view*, const bp_view&) const override { ++runs; }
  mutable int runs = 0;
};

TEST(HostQueue, AFailureSkipsTheRestAndIsReportedOnce) {
  HostQueue queue;
  HostEvent before, after;
  Counting counting;
  queue.record(before);
  queue.enqueue(Throwing(), nullptr, nullptr, {});
  queue.enqueue(counting, nullptr, nullptr, {});
  queue.record(after);
  EXPECT_EQ(counting.runs, 0);
  bp_error error = fresh_error();
  EXPECT_EQ(before.sync(0, &error), BP_OK);
  EXPECT_EQ(after.sync(UINT64_MAX, &error), BP_E_INTERNAL);
  EXPECT_EQ(error.scope, static_cast<uint32_t>(BP_SCOPE_QUEUE));
  error = fresh_error();
  EXPECT_EQ(queue.finish(&error), BP_E_INTERNAL);
  EXPECT_STREQ(error.message, "first");
  EXPECT_EQ(queue.finish(&error), BP_OK);
  queue.enqueue(counting, nullptr, nullptr, {});
  EXPECT_EQ(counting.runs, 1);
}

TEST(HostQueue, AnEventCarriesTheFailureToWhoeverWaits) {
  HostQueue first, second;
  HostEvent event;
  first.enqueue(Throwing(), nullptr, nullptr, {});
  first.record(event);
  second.wait(event);
  Counting counting;
  second.enqueue(counting, nullptr, nullptr, {});
  EXPECT_EQ(counting.runs, 0);
  bp_error error = fresh_error();
  EXPECT_EQ(second.finish(&error), BP_E_DEPENDENCY);
  EXPECT_EQ(error.code, BP_E_INTERNAL) << "the error is the original one";
  EXPECT_STREQ(error.message, "first");
  first.finish(nullptr);
  first.record(event);  // re-recording forgets
  EXPECT_EQ(event.sync(0, nullptr), BP_OK);
}

TEST(HostQueue, CopiesAreCheckedAndFillsRepeat) {
  HostDevice device;
  const auto buffer = device.alloc(24, BP_MEMORY_DEVICE);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data) % 64, 0u);
  EXPECT_EQ(device.usage().used, 24u);
  HostQueue queue;
  const bp_view whole{reinterpret_cast<bp_buffer*>(buffer.get()), 0};
  const uint32_t pattern = 0x01020304;
  queue.fill(whole, &pattern, 4, 24);
  uint32_t words[8] = {pattern, pattern, pattern, pattern, pattern, pattern, pattern, pattern};
  std::memset(words, 0, 24);
  queue.download(words, whole, 24);
  EXPECT_THAT(words, ::testing::Each(pattern));
  EXPECT_THROW(queue.download(words, whole, 25), Failure);
  EXPECT_THROW(queue.upload({whole.buffer, 24}, words, 1, false), Failure);
  EXPECT_THROW(queue.upload({whole.buffer, UINT64_MAX}, words, 2, false), Failure);
  queue.upload({whole.buffer, 24}, words, 0, false);
  EXPECT_THROW(device.alloc(UINT64_MAX, BP_MEMORY_DEVICE), Failure);
}

TEST(HostDevice, OutOfMemoryIsRetryableAndLeavesTheDeviceUsable) {
  HostDevice device;
  try {
    device.alloc(uint64_t{1} << 60, BP_MEMORY_DEVICE);
    FAIL() << "allocated 2^60 bytes";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, BP_E_OUT_OF_MEMORY);
    EXPECT_EQ(failure.flags, static_cast<uint32_t>(BP_ERROR_RETRYABLE));
  }
  EXPECT_EQ(device.usage().used, 0u);
  EXPECT_NE(device.alloc(1, BP_MEMORY_STAGING), nullptr);
}

}  // namespace
}  // namespace backplane::sdk
