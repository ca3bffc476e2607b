// SPDX-License-Identifier: Apache-2.0
// The tables that BACKPLANE_PLUGIN makes, called as the host calls them, over a plugin that throws wherever it can.
#include <gmock/gmock.h>

#include "backplane/sdk/sdk.hpp"

namespace backplane::sdk {
namespace {

int g_mode = 0;  // what everything throws: 0 nothing, then as below

void maybe_throw() {
  switch (g_mode) {
    case 1: throw Failure(BP_E_UNAVAILABLE, "[test] no driver");
    case 2: throw std::bad_alloc();
    case 3: throw std::logic_error("logic");
    case 4: throw 7;
    default: break;
  }
}
constexpr bp_status kExpected[] = {BP_OK, BP_E_UNAVAILABLE, BP_E_OUT_OF_HOST_MEMORY, BP_E_INTERNAL, BP_E_INTERNAL};

struct Nothing : HostKernel {
  void run(const bp_view*, const bp_view*, const bp_view&) const override {}
};
struct Queue : HostQueue {
  void upload(const bp_view&, const void*, uint64_t, bool) { maybe_throw(); }
  void download(void*, const bp_view&, uint64_t) { maybe_throw(); }
  void copy(const bp_view&, const bp_view&, uint64_t) { maybe_throw(); }
  void fill(const bp_view&, const void*, uint32_t, uint64_t) { maybe_throw(); }
  void flush() { maybe_throw(); }
  bp_status finish(bp_error*) { return maybe_throw(), BP_OK; }
  void record(HostEvent&) { maybe_throw(); }
  void wait(HostEvent&) { maybe_throw(); }
  void enqueue(const HostKernel&, const bp_view*, const bp_view*, const bp_view&) { maybe_throw(); }
};
struct Device : HostDevice {
  using Queue = sdk::Queue;
  std::unique_ptr<HostBuffer> alloc(uint64_t bytes, uint32_t kind) { return maybe_throw(), HostDevice::alloc(bytes, kind); }
  std::unique_ptr<HostEvent> create_event() { return maybe_throw(), HostDevice::create_event(); }
  std::unique_ptr<Queue> create_queue() { return maybe_throw(), std::make_unique<Queue>(); }
  void query(const bp_op&, Support& support) { maybe_throw(), support.yes(); }
  std::unique_ptr<HostKernel> prepare(const bp_op&, const char*) { return maybe_throw(), std::make_unique<Nothing>(); }
};
struct Plugin {
  static constexpr PluginInfo kInfo{"test", "1.0.0", "1", "throws"};
  using Device = sdk::Device;
  std::vector<bp_device_info> devices() { return maybe_throw(), std::vector{host_device_info("test", "Test")}; }
  std::unique_ptr<Device> open(uint32_t) { return maybe_throw(), std::make_unique<Device>(); }
};
using T = Thunks<Plugin>;

TEST(Thunks, LetNoExceptionOutAndWriteNoOutputOnFailure) {
  Plugin plugin;
  Device device;
  Queue queue;
  HostEvent event;
  Nothing kernel;
  HostBuffer buffer;
  auto* p = reinterpret_cast<bp_plugin*>(&plugin);
  auto* d = reinterpret_cast<bp_device*>(&device);
  auto* q = reinterpret_cast<bp_queue*>(&queue);
  auto* e = reinterpret_cast<bp_event*>(&event);
  auto* k = reinterpret_cast<bp_kernel*>(&kernel);
  const bp_view view{reinterpret_cast<bp_buffer*>(&buffer), 0};
  const bp_tensor_desc scalar{BP_F32, 0, {}, {}};
  const uint16_t output = 0;
  const bp_program copy{sizeof(copy), 1, 0, 1, nullptr, &output};
  bp_op op{};
  op.size = sizeof(op);
  op.code = BP_OP_POINTWISE;
  op.inputs = op.outputs = &scalar;
  op.num_inputs = op.num_outputs = 1;
  op.program = &copy;
  char data[8] = {};
  for (g_mode = 1; g_mode <= 4; ++g_mode) {
    bp_error error{};
    error.size = sizeof(error);
    const bp_status expected = kExpected[g_mode];
    bp_device* new_device = nullptr;
    bp_buffer* new_buffer = nullptr;
    bp_queue* new_queue = nullptr;
    bp_event* new_event = nullptr;
    bp_kernel* new_kernel = nullptr;
    uint32_t count = 77;
    bp_support support{sizeof(support), 55, 0, 0, {}};
    EXPECT_EQ(T::devices(p, nullptr, 0, 0, &count, &error), expected);
    EXPECT_EQ(T::open(p, 0, &new_device, &error), expected);
    EXPECT_EQ(T::alloc(d, 1, 0, &new_buffer, &error), expected);
    EXPECT_EQ(T::create_queue(d, &new_queue, &error), expected);
    EXPECT_EQ(T::create_event(d, &new_event, &error), expected);
    EXPECT_EQ(T::upload(q, view, data, 8, 0, &error), expected);
    EXPECT_EQ(T::download(q, data, view, 8, &error), expected);
    EXPECT_EQ(T::copy(q, view, view, 8, &error), expected);
    EXPECT_EQ(T::fill(q, view, data, 4, 8, &error), expected);
    EXPECT_EQ(T::flush(q, &error), expected);
    EXPECT_EQ(T::finish(q, &error), expected);
    EXPECT_EQ(T::record(q, e, &error), expected);
    EXPECT_EQ(T::wait(q, e, &error), expected);
    EXPECT_EQ(T::query(d, &op, &support, &error), expected);
    EXPECT_EQ(T::variants(d, &op, nullptr, 0, 0, &count, &error), expected);
    EXPECT_EQ(T::prepare(d, &op, nullptr, &new_kernel, nullptr, &error), expected);
    EXPECT_EQ(T::enqueue(q, k, &view, &view, view, &error), expected);
    EXPECT_EQ(T::enqueue(q, k, &view, &view, view, nullptr), expected);
    EXPECT_EQ(error.code, expected);
    EXPECT_STRNE(error.message, "");
    EXPECT_EQ(new_device, nullptr);
    EXPECT_EQ(new_buffer, nullptr);
    EXPECT_EQ(new_queue, nullptr);
    EXPECT_EQ(new_event, nullptr);
    EXPECT_EQ(new_kernel, nullptr);
    EXPECT_EQ(count, 77u);
    EXPECT_EQ(support.verdict, 55u);
  }
  g_mode = 0;
  EXPECT_EQ(T::enqueue(q, k, &view, &view, view, nullptr), BP_OK);
}

TEST(Thunks, RefuseNullAndNonsense) {
  Device device;
  Queue queue;
  auto* d = reinterpret_cast<bp_device*>(&device);
  auto* q = reinterpret_cast<bp_queue*>(&queue);
  bp_buffer* buffer = nullptr;
  char data[8] = {};
  EXPECT_EQ(T::alloc(d, 0, BP_MEMORY_DEVICE, &buffer, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::alloc(d, 8, 99, &buffer, nullptr), BP_E_UNSUPPORTED);
  EXPECT_EQ(T::alloc(d, 8, 0, nullptr, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::alloc(nullptr, 8, 0, &buffer, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::fill(q, {}, data, 3, 3, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::fill(q, {}, data, 4, 6, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::enqueue(nullptr, nullptr, nullptr, nullptr, {}, nullptr), BP_E_INVALID_ARGUMENT);
  EXPECT_EQ(T::query(d, nullptr, nullptr, nullptr), BP_E_INVALID_ARGUMENT);
  T::free_buffer(nullptr);
  T::destroy_queue(nullptr);
  T::destroy_event(nullptr);
  T::destroy_kernel(nullptr);
  EXPECT_EQ(T::get_interface(nullptr, "bp.memory", BP_VERSION(1, 0)), &T::kMemory);
  EXPECT_EQ(T::get_interface(nullptr, "bp.memory", BP_VERSION(1, 1)), nullptr);
  EXPECT_EQ(T::get_interface(nullptr, "bp.memory", BP_VERSION(2, 0)), nullptr);
  EXPECT_EQ(T::get_interface(nullptr, "bp.telemetry", BP_VERSION(1, 0)), nullptr) << "not declared, not offered";
  EXPECT_EQ(T::get_interface(nullptr, nullptr, 0), nullptr);
}

}  // namespace
}  // namespace backplane::sdk
