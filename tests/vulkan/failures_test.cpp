// SPDX-License-Identifier: Apache-2.0
// What is missing, broken or lost: no loader, a broken driver, spoiled caches, no memory, a lost device, drivers
// without the extensions that are only nice to have.
#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "support.h"

namespace vulkan_test {
namespace {

constexpr int kOutOfDeviceMemory = -2, kDeviceLost = -4;

/// The plugin without a device: what `devices` says with these settings.
std::string why_unavailable(std::map<std::string, std::string> settings) {
  void* library = dlopen(CARD_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return dlerror();
  const auto entry = reinterpret_cast<bp_plugin_entry>(dlsym(library, BP_PLUGIN_ENTRY_NAME));
  bp_host host{};
  host.size = sizeof(host), host.abi_version = BP_ABI_VERSION, host.context = &settings;
  host.config = [](void* context, const char* key, char* value, uint64_t capacity, uint64_t* length) -> bp_status {
    const auto& all = *static_cast<std::map<std::string, std::string>*>(context);
    const auto at = all.find(key);
    if (at == all.end()) return BP_E_NOT_FOUND;
    *length = at->second.size();
    if (capacity <= *length) return BP_INCOMPLETE;
    std::copy_n(at->second.c_str(), *length + 1, value);
    return BP_OK;
  };
  bp_error error = make_error();
  const bp_plugin_api* api = nullptr;
  bp_plugin* plugin = nullptr;
  EXPECT_EQ(entry(&host, &api, &error), BP_OK);
  EXPECT_EQ(api->create(&host, &plugin, &error), BP_OK) << error.message;
  uint32_t count = 77;
  const bp_status status = api->devices(plugin, nullptr, sizeof(bp_device_info), 0, &count, &error);
  EXPECT_EQ(status, BP_E_UNAVAILABLE) << error.message;
  EXPECT_EQ(count, 77u);
  bp_device* device = nullptr;
  EXPECT_EQ(api->open(plugin, 0, &device, &error), BP_E_UNAVAILABLE);
  api->destroy(plugin);
  return error.message;
}

TEST(VulkanUnavailable, WithoutALoader) {
  const std::string why = why_unavailable({{"vulkan.loader", "libno-such-vulkan.so"}});
  EXPECT_NE(why.find("no Vulkan loader (libno-such-vulkan.so"), std::string::npos) << why;
  EXPECT_NE(why.find("install libvulkan1"), std::string::npos) << why;
  const std::string other = why_unavailable({{"vulkan.loader", "libm.so.6"}});
  EXPECT_NE(other.find("not a Vulkan loader"), std::string::npos) << other;
}

TEST(VulkanUnavailable, WithABrokenDriver) {
  const std::string folder = testing::TempDir();
  std::ofstream(folder + "/absent_library.json")
      << R"({"file_format_version": "1.0.0", "ICD": {"library_path": "/nowhere/libicd.so", "api_version": "1.3.0"}})";
  std::ofstream(folder + "/no_json.json") << "{ this is no manifest";
  for (const char* manifest : {"absent_library.json", "no_json.json", "no_such_file.json"}) {
    setenv("VK_ICD_FILENAMES", (folder + "/" + manifest).c_str(), 1);
    const std::string why = why_unavailable({});
    EXPECT_NE(why.find("no usable Vulkan driver"), std::string::npos) << manifest << ": " << why;
    unsetenv("VK_ICD_FILENAMES");
  }
}

TEST(VulkanDevices, SayWhatTheyAre) {
  const auto card = open_card();
  bp_device_info infos[8];
  for (bp_device_info& info : infos) info = {}, info.size = sizeof(info);
  uint32_t count = 0;
  bp_error error = make_error();
  ASSERT_EQ(card->api->devices(card->plugin, infos, sizeof(bp_device_info), 8, &count, &error), BP_OK) << error.message;
  ASSERT_GE(count, 1u);
  for (uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(std::string(infos[i].id).size() >= 32, true) << infos[i].id;
    EXPECT_NE(infos[i].driver[0], '\0');
    EXPECT_GT(infos[i].memory_total, 0u);
    const bool software = infos[i].kind == BP_KIND_CPU;
    EXPECT_EQ((infos[i].flags & BP_DEVICE_SOFTWARE) != 0, software) << infos[i].name;
    EXPECT_EQ(std::string(infos[i].name).find("llvmpipe") != std::string::npos, software) << infos[i].name;
  }
}

/// Prepares y = reduce(x) of one dtype.
void prepare_reduce(const Card& card, uint32_t dtype) {
  const bp_reduce_attrs attrs{sizeof(attrs), BP_REDUCE_SUM, 2, 0};
  const bp_tensor_desc x = card_test::lay_out(dtype, {60, 200}), y = card_test::lay_out(dtype, {60, 1});
  bp_op op{};
  op.size = sizeof(op), op.code = BP_OP_REDUCE, op.name = "sum", op.attrs = &attrs;
  op.inputs = &x, op.num_inputs = 1, op.outputs = &y, op.num_outputs = 1;
  op.max_workspace = UINT64_MAX;
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  ASSERT_EQ(card.kernels->prepare(card.device, &op, nullptr, &kernel, nullptr, &error), BP_OK) << error.message;
  card.kernels->destroy(kernel);
}

TEST(VulkanCache, CommonKernelsComeWithThePlugin) {
  std::map<std::string, std::string> blobs;
  const auto card = open_card({}, &blobs);
  bp_device_info info{};
  info.size = sizeof(info);
  uint32_t devices = 0;
  bp_error error = make_error();
  ASSERT_GE(card->api->devices(card->plugin, &info, sizeof(info), 1, &devices, &error), 0) << error.message;
  if (std::string(info.name).find("llvmpipe") == std::string::npos ||
      std::string(info.architecture).find("subgroup 8") == std::string::npos) {
    GTEST_SKIP() << "the kernels that come along are for other devices than this";
  }
  const auto compiled = [&] {
    size_t count = 0;
    for (const auto& [key, blob] : blobs) count += key.find("spirv") != std::string::npos;
    return count;
  };
  prepare_reduce(*card, BP_F32);
  EXPECT_EQ(compiled(), 0u);
  prepare_reduce(*card, BP_I32);
  EXPECT_GT(compiled(), 0u);
}

TEST(VulkanCache, SecondUseCompilesNothingAndSpoiledEntriesAreRebuilt) {
  std::map<std::string, std::string> blobs;
  const auto result = [&] {
    const auto card = open_card({}, &blobs);
    const Ints a(*card, 64), b(*card, 64), order(*card, 64);
    const Shuffle shuffle(*card, 64);
    a.upload(count_up(64));
    order.upload(count_down(64));
    shuffle.run(a, order, b);
    EXPECT_EQ(b.read(), count_down(64));
    prepare_reduce(*card, BP_I32);
  };
  result();
  std::string spirv_key;
  for (const auto& [key, blob] : blobs) spirv_key = key.find("spirv") != std::string::npos ? key : spirv_key;
  ASSERT_FALSE(spirv_key.empty());
  const std::map<std::string, std::string> good = blobs;
  result();
  EXPECT_EQ(blobs, good);  // found, not written again
  const auto spoil = [&](const std::function<void(std::string&)>& damage) {
    blobs = good;
    for (auto& [key, blob] : blobs) damage(blob);
    result();
    EXPECT_EQ(blobs[spirv_key], good.at(spirv_key));
  };
  spoil([](std::string& blob) { blob.clear(); });
  spoil([](std::string& blob) { blob.resize(blob.size() / 2); });
  spoil([](std::string& blob) { blob += "more"; });
  spoil([](std::string& blob) {
    blob = "an entry of something else, long enough to hold the header that is expected there";
  });
  for (size_t at = 0; at < good.at(spirv_key).size(); at += 97) {
    spoil([at](std::string& blob) { blob[at % blob.size()] = static_cast<char>(blob[at % blob.size()] ^ 0x40); });
  }
}

TEST(VulkanMemory, RunningOutLeavesTheDeviceUsable) {
  const auto card = open_card({{"vulkan.memory_cap_mb", "256"}});
  bp_error error = make_error();
  std::vector<bp_buffer*> held;
  bp_buffer* buffer = nullptr;
  bp_status status = BP_OK;
  for (int i = 0; i < 100 && status == BP_OK; ++i) {
    status = card->memory->alloc(card->device, 40 << 20, BP_MEMORY_DEVICE, &buffer, &error);
    if (status == BP_OK) held.push_back(buffer);
  }
  EXPECT_EQ(status, BP_E_OUT_OF_MEMORY);
  EXPECT_GE(held.size(), 4u);
  EXPECT_NE(error.flags & BP_ERROR_RETRYABLE, 0u);
  EXPECT_NE(std::string(error.message).find("free buffers"), std::string::npos) << error.message;
  EXPECT_EQ(card->memory->alloc(card->device, uint64_t{1} << 61, BP_MEMORY_DEVICE, &buffer, &error),
            BP_E_OUT_OF_MEMORY);
  card->memory->free(held.back());
  held.pop_back();
  EXPECT_EQ(card->memory->alloc(card->device, 40 << 20, BP_MEMORY_DEVICE, &buffer, &error), BP_OK) << error.message;
  held.push_back(buffer);
  for (bp_buffer* b : held) card->memory->free(b);
  const Ints a(*card, 30 << 20);  // empty blocks make room for one of another size
}

TEST(VulkanMemory, TheDriverSaysNo) {
  Faults faults;
  const auto card = open_card({{"vulkan.loader", FAULT_LOADER}});
  faults.fail("vkAllocateMemory", kOutOfDeviceMemory);
  bp_error error = make_error();
  bp_buffer* buffer = nullptr;
  EXPECT_EQ(card->memory->alloc(card->device, 300 << 20, BP_MEMORY_DEVICE, &buffer, &error), BP_E_OUT_OF_MEMORY);
  faults.fail("vkAllocateMemory", 0, -1);
  const Ints a(*card, 1000);
  a.upload(count_up(1000));
  EXPECT_EQ(a.read(), count_up(1000));
}

TEST(VulkanQueue, AFailedSubmissionFailsItsQueueOnce) {
  Faults faults;
  const auto card = open_card({{"vulkan.loader", FAULT_LOADER}});
  const Ints a(*card, 256), b(*card, 256), order(*card, 256);
  const Shuffle shuffle(*card, 256);
  a.upload(count_up(256));
  order.upload(count_down(256));
  bp_error error = make_error();
  bp_queue* other = nullptr;
  bp_event* event = nullptr;
  ASSERT_EQ(card->queues->create(card->device, &other, &error), BP_OK);
  ASSERT_EQ(card->queues->event_create(card->device, &event, &error), BP_OK);
  shuffle.run(a, order, b);
  card->queues->event_record(card->queue, event, &error);
  faults.fail("vkQueueSubmit", kOutOfDeviceMemory);
  EXPECT_EQ(card->queues->event_wait(other, event, &error), BP_OK);
  faults.fail("vkQueueSubmit", 0, -1);
  EXPECT_EQ(card->queues->event_sync(event, UINT64_MAX, &error), BP_E_OUT_OF_MEMORY);
  EXPECT_EQ(shuffle.run(a, order, b, other, &error), BP_OK);  // skipped
  EXPECT_EQ(card->queues->finish(other, &error), BP_E_DEPENDENCY);
  EXPECT_NE(std::string(error.message).find("vkQueueSubmit"), std::string::npos) << error.message;
  EXPECT_EQ(card->queues->finish(card->queue, &error), BP_E_OUT_OF_MEMORY);
  EXPECT_EQ(card->queues->finish(card->queue, &error), BP_OK);
  EXPECT_EQ(card->queues->finish(other, &error), BP_OK);
  shuffle.run(a, order, b);
  EXPECT_EQ(b.read(), count_down(256));
  card->queues->event_destroy(event);
  card->queues->destroy(other);
}

void lose_by(const char* function) {
  SCOPED_TRACE(function);
  Faults faults;
  const auto card = open_card({{"vulkan.loader", FAULT_LOADER}});
  const Ints a(*card, 256), b(*card, 256), order(*card, 256);
  const Shuffle shuffle(*card, 256);
  bp_error error = make_error();
  bp_event* event = nullptr;
  ASSERT_EQ(card->queues->event_create(card->device, &event, &error), BP_OK);
  shuffle.run(a, order, b);
  card->queues->event_record(card->queue, event, &error);
  faults.fail(function, kDeviceLost);
  EXPECT_EQ(card->queues->finish(card->queue, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(error.scope, uint32_t{BP_SCOPE_DEVICE});
  EXPECT_STREQ(error.domain, "vulkan");
  EXPECT_EQ(error.native_code, kDeviceLost);
  faults.fail(function, 0, -1);  // it stays lost even when the driver would work again
  const auto start = std::chrono::steady_clock::now();
  bp_buffer* buffer = nullptr;
  bp_queue* queue = nullptr;
  int32_t value = 0;
  EXPECT_EQ(card->memory->alloc(card->device, 64, BP_MEMORY_DEVICE, &buffer, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->create(card->device, &queue, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->upload(card->queue, a.at(0), &value, 4, 0, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->download(card->queue, &value, a.at(0), 4, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->copy(card->queue, b.at(0), a.at(0), 4, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->fill(card->queue, a.at(0), &value, 4, 4, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->flush(card->queue, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->finish(card->queue, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->event_record(card->queue, event, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(card->queues->event_sync(event, 0, &error), BP_E_DEVICE_LOST);
  EXPECT_EQ(shuffle.run(a, order, b, nullptr, &error), BP_E_DEVICE_LOST);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
  ASSERT_EQ(card->device_events.size(), 1u);  // told once
  EXPECT_EQ(card->device_events[0].code, BP_E_DEVICE_LOST);
  card->queues->event_destroy(event);
}

TEST(VulkanLost, StaysLost) {
  lose_by("vkQueueSubmit");
  lose_by("vkWaitSemaphores");
  const auto card = open_card();  // opened again, it works
  const Ints a(*card, 10);
  a.upload(count_up(10));
  EXPECT_EQ(a.read(), count_up(10));
}

TEST(VulkanExtensions, AreOnlyNiceToHave) {
  Faults faults;
  faults.hide(0, "VK_EXT_subgroup_size_control");
  faults.hide(1, "VK_EXT_memory_budget");
  faults.hide(2, "VK_EXT_external_memory_host");
  faults.hide(3, "VK_EXT_calibrated_timestamps");
  const auto card = open_card({{"vulkan.loader", FAULT_LOADER}});
  constexpr size_t n = 1024;
  const Ints a(*card, n), b(*card, n), order(*card, n);
  const Shuffle shuffle(*card, n);
  a.upload(count_up(n));
  order.upload(count_down(n));
  bp_error error = make_error();
  for (int round = 0; round < 1001; ++round) {  // more launches than a descriptor pool holds
    ASSERT_EQ(shuffle.run(round % 2 == 0 ? a : b, order, round % 2 == 0 ? b : a, nullptr, &error), BP_OK)
        << error.message;
  }
  EXPECT_EQ(b.read(), count_down(n));
  bp_buffer* buffer = nullptr;
  const auto* interop = card->interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  EXPECT_EQ(interop->import_host(card->device, &error, 4096, BP_ACCESS_READ, &buffer, &error), BP_E_UNSUPPORTED);
  const auto* timing = card->interface<bp_timing_api>(BP_INTERFACE_TIMING);
  uint64_t x = 0;
  EXPECT_EQ(timing->calibrate(card->device, &x, &x, &x, &error), BP_E_UNSUPPORTED);
}

}  // namespace
}  // namespace vulkan_test
