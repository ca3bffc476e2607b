// SPDX-License-Identifier: Apache-2.0
// The CUDA card without a driver, with one that fails, and after a crash: what is said, and what still works.
#include "cards/loaded_plugin.h"
#include "cards/small_op.h"
#include "cuda/emulator/control.h"

namespace card_test {
namespace {

constexpr int kOutOfMemory = 2, kIllegalAddress = 700;  // CUresult

class CudaFailures : public testing::Test {
 protected:
  void SetUp() override { card_ = std::make_unique<Card>(card_facts().plugin, card_facts().settings); }
  void TearDown() override {
    cuda_emulator_reset();
    card_.reset();
    EXPECT_EQ(cuda_emulator_memory_used(), 0u) << "everything was given back";
  }
  bool works() {
    SmallGather gather(*card_);
    return gather.prepare(&error_) == BP_OK && gather.enqueue(&error_) == BP_OK && gather.is_turned(*gather.y);
  }
  std::unique_ptr<Card> card_;
  bp_error error_ = make_error();
};

/// In a process of its own each, since the driver is looked for once.
std::string reason_without(const char* driver) {
  LoadedPlugin loaded(CARD_PLUGIN);
  static const char* path;
  path = driver;
  loaded.host.config = [](void*, const char* key, char* value, uint64_t capacity, uint64_t* length) -> bp_status {
    if (std::string(key) != "cuda.driver" || path == nullptr) return BP_E_NOT_FOUND;
    *length = std::strlen(path);
    if (capacity <= *length) return BP_INCOMPLETE;
    std::memcpy(value, path, *length + 1);
    return BP_OK;
  };
  bp_plugin* plugin = nullptr;
  bp_error error = make_error();
  EXPECT_EQ(loaded.api->create(&loaded.host, &plugin, &error), BP_OK);
  uint32_t count = 0;
  EXPECT_EQ(loaded.api->devices(plugin, nullptr, 0, 0, &count, &error), BP_E_UNAVAILABLE);
  loaded.api->destroy(plugin);
  return error.message;
}

TEST(CudaUnavailable, WithoutADriver) {
  const std::string reason = reason_without("/no/such/libcuda.so.1");
  EXPECT_EQ(reason.rfind("no NVIDIA driver (libcuda.so.1)", 0), 0u) << reason;
}

TEST(CudaUnavailable, WithALibraryThatIsNoDriver) {
  const std::string reason = reason_without(NVRTC_EMULATOR);
  EXPECT_NE(reason.find("has no cuInit"), std::string::npos) << reason;
}

TEST(CudaUnavailable, WithoutADevice) {
  cuda_emulator_fail("cuInit", 100, 0, -1);
  const std::string reason = reason_without(CUDA_EMULATOR);
  EXPECT_EQ(reason, "the NVIDIA driver finds no device");
}

TEST(CudaUnavailable, TheToolkitsStubIsNoDriver) {
  cuda_emulator_fail("cuInit", 34, 0, -1);
  const std::string reason = reason_without(CUDA_EMULATOR);
  EXPECT_NE(reason.find("stub"), std::string::npos) << reason;
}

TEST(CudaWithoutCompiler, SaysSoForEveryOperation) {
  auto settings = card_facts().settings;
  settings["cuda.nvrtc"] = "/no/such/libnvrtc.so";
  Card card(card_facts().plugin, settings);
  bp_error error = make_error();
  SmallGather gather(card);
  EXPECT_EQ(gather.prepare(&error), BP_E_UNSUPPORTED);
  EXPECT_NE(std::string(error.message).find("no run-time compiler (libnvrtc.so)"), std::string::npos) << error.message;
}

TEST_F(CudaFailures, OutOfMemoryLeavesTheDeviceUsable) {
  bp_buffer* buffer = nullptr;
  cuda_emulator_fail("cuMemAlloc", kOutOfMemory, 0, 2);  // also after everything idle was given back
  EXPECT_EQ(card_->memory->alloc(card_->device, 50u << 20, BP_MEMORY_DEVICE, &buffer, &error_), BP_E_OUT_OF_MEMORY);
  EXPECT_TRUE((error_.flags & BP_ERROR_RETRYABLE) != 0);
  EXPECT_STREQ(error_.domain, "cuda");
  EXPECT_EQ(error_.native_code, kOutOfMemory);
  EXPECT_TRUE(works());
  cuda_emulator_fail("cuMemAlloc", kOutOfMemory, 0, 1);
  EXPECT_EQ(card_->memory->alloc(card_->device, 50u << 20, BP_MEMORY_DEVICE, &buffer, &error_), BP_OK);
  card_->memory->free(buffer);
}

TEST_F(CudaFailures, TheCapIsKept) {
  auto settings = card_facts().settings;
  settings["cuda.memory_cap_mb"] = "100";
  Card capped(card_facts().plugin, settings);
  bp_buffer *first = nullptr, *second = nullptr;
  ASSERT_EQ(capped.memory->alloc(capped.device, 60u << 20, BP_MEMORY_DEVICE, &first, &error_), BP_OK);
  EXPECT_EQ(capped.memory->alloc(capped.device, 60u << 20, BP_MEMORY_DEVICE, &second, &error_), BP_E_OUT_OF_MEMORY);
  capped.memory->free(first);
  ASSERT_EQ(capped.memory->alloc(capped.device, 60u << 20, BP_MEMORY_DEVICE, &second, &error_), BP_OK);
  capped.memory->free(second);
}

TEST_F(CudaFailures, ACrashLosesTheDeviceAndNamesTheLaunches) {
  SmallGather gather(*card_);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  ASSERT_EQ(gather.enqueue(&error_), BP_OK);
  cuda_emulator_fail("cuStreamSynchronize", kIllegalAddress, 0, -1);
  EXPECT_EQ(card_->queues->finish(card_->queue, &error_), BP_E_DEVICE_LOST);
  const std::string message = error_.message;
  EXPECT_NE(message.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << message;
  EXPECT_NE(message.find("gather"), std::string::npos) << message;
  EXPECT_EQ(error_.scope, uint32_t{BP_SCOPE_DEVICE});
  ASSERT_EQ(card_->device_events.size(), 1u);
  bp_buffer* buffer = nullptr;
  bp_queue* queue = nullptr;
  EXPECT_EQ(card_->memory->alloc(card_->device, 64, BP_MEMORY_DEVICE, &buffer, &error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(card_->queues->create(card_->device, &queue, &error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(gather.enqueue(&error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(error_.message, message);
  EXPECT_EQ(card_->device_events.size(), 1u);
}

TEST_F(CudaFailures, WaitingForEveryLaunchNamesTheOneThatCrashed) {
  auto settings = card_facts().settings;
  settings["cuda.synchronous"] = "1";
  Card card(card_facts().plugin, settings);
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  cuda_emulator_fail("cuStreamSynchronize", kIllegalAddress, 0, -1);
  EXPECT_EQ(gather.enqueue(&error_), BP_E_DEVICE_LOST);
  EXPECT_NE(std::string(error_.message).find("after kernel gather"), std::string::npos) << error_.message;
}

TEST_F(CudaFailures, TheThreadsOwnContextComesBack) {
  using Get = int (*)(void**);
  using Set = int (*)(void*);
  void* library = dlopen(CUDA_EMULATOR, RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  const auto get = reinterpret_cast<Get>(dlsym(library, "cuCtxGetCurrent"));
  const auto set = reinterpret_cast<Set>(dlsym(library, "cuCtxSetCurrent"));
  int another = 0;
  void* now = nullptr;
  set(&another);  // what another library of the process works with
  EXPECT_TRUE(works());
  get(&now);
  EXPECT_EQ(now, &another);
  set(nullptr);
}

TEST_F(CudaFailures, CudnnThatDoesNotStartIsNotUsed) {
  cuda_emulator_fail("cudnnCreate", 1, 0, -1);
  bp_convolution_attrs attrs{};
  attrs.size = sizeof(attrs), attrs.spatial_rank = 2, attrs.groups = 1;
  for (int axis = 0; axis < 2; ++axis) attrs.stride[axis] = attrs.dilation[axis] = 1;
  Case c;
  c.code = BP_OP_CONVOLUTION, c.attrs = &attrs;
  c.in = {lay_out(BP_F32, {1, 4, 8, 8}), lay_out(BP_F32, {4, 4, 3, 3})};
  c.out = {lay_out(BP_F32, {1, 4, 6, 6})};
  bp_program program;
  const std::vector<bp_variant> variants = card_->variants(make_op(c, program));
  EXPECT_FALSE(variants.empty());
  for (const bp_variant& v : variants) EXPECT_EQ(std::string(v.name).find("cudnn"), std::string::npos) << v.name;
  const auto said = [](const std::string& line) { return line.find("cudnnCreate failed with status 1001") != std::string::npos; };
  EXPECT_EQ(std::count_if(card_->log.begin(), card_->log.end(), said), 1);
}

}  // namespace
}  // namespace card_test
