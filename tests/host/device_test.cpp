// SPDX-License-Identifier: Apache-2.0
// The C++ objects over a plugin's handles: they work, they end, and they keep what they need alive.
#include "backplane/host/device.h"

#include <gmock/gmock.h>

#include <cstring>

#include "fixture.h"

namespace backplane::host::test {
namespace {

using ::testing::HasSubstr;

class DeviceTest : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    install_good();
    registry = std::make_unique<Registry>(options());
    device = registry->open("null");
  }
  std::unique_ptr<Registry> registry;
  DevicePtr device;
};

TEST_F(DeviceTest, KernelsAreAskedForPreparedAndRun) {
  bp_op op{};
  op.size = sizeof op;
  op.code = BP_OP_MATMUL;
  op.name = "matmul";
  EXPECT_EQ(device->query(op).verdict, static_cast<std::uint32_t>(BP_SUPPORT_YES));
  const std::vector<Variant> variants = device->variants(op);
  ASSERT_EQ(variants.size(), 1u);
  EXPECT_EQ(variants[0].name, "nothing");
  EXPECT_EQ(variants[0].flags, static_cast<std::uint32_t>(BP_VARIANT_DEFAULT));
  const Kernel kernel = device->prepare(op);
  EXPECT_EQ(kernel.variant, "nothing");
  const Queue queue = device->create_queue();
  EXPECT_EQ(device->kernels().enqueue(queue.get(), kernel.handle.get(), nullptr, nullptr, {nullptr, 0}, nullptr),
            BP_OK);
  device->finish(queue);
  try {
    device->prepare(op, "something");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), BP_E_NOT_FOUND);
    EXPECT_THAT(error.what(), HasSubstr("[null:0: prepare matmul as something]"));
    EXPECT_THAT(error.what(), HasSubstr("the only variant is \"nothing\""));
  }
}

TEST_F(DeviceTest, OptionalInterfacesThatAreNotOfferedAreNull) {
  EXPECT_EQ(device->capture(), nullptr);
  EXPECT_EQ(device->timing(), nullptr);
  EXPECT_EQ(device->interop(), nullptr);
  EXPECT_EQ(device->telemetry(), nullptr);
  EXPECT_TRUE(device->has(BP_DEVICE_SYNCHRONOUS));
  EXPECT_FALSE(device->has(BP_DEVICE_REFERENCE));
}

TEST_F(DeviceTest, ObjectsKeepTheirDeviceAndItsPluginAlive) {
  Buffer buffer = device->alloc(256, BP_MEMORY_STAGING);
  const std::weak_ptr<Device> watched = device;
  device.reset();
  registry.reset();
  EXPECT_FALSE(watched.expired());
  void* address = nullptr;
  EXPECT_EQ(buffer.device()->memory().host_pointer(buffer.get(), &address, nullptr), BP_OK);
  EXPECT_NE(address, nullptr);
  buffer = Buffer();
  EXPECT_TRUE(watched.expired());
}

TEST_F(DeviceTest, HandlesMoveAndAreDestroyedOnce) {
  static int destroyed = 0;
  destroyed = 0;
  auto* fake = reinterpret_cast<bp_event*>(&destroyed);
  {
    Event first(
        fake, [](bp_event*) { ++destroyed; }, device);
    Event second(std::move(first));
    EXPECT_FALSE(first);
    EXPECT_TRUE(second);
    Event third;
    third = std::move(second);
    EXPECT_EQ(destroyed, 0);
  }
  EXPECT_EQ(destroyed, 1);
}

TEST_F(DeviceTest, AnImpossibleAllocationIsAnErrorAndTheDeviceGoesOn) {
  try {
    device->alloc(UINT64_MAX - 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), BP_E_OUT_OF_MEMORY);
    EXPECT_THAT(error.what(), HasSubstr("[null:0: alloc 18446744073709551614 bytes] out of device memory"));
  }
  EXPECT_TRUE(device->alloc(0)) << "an empty tensor has a buffer, too";
}

TEST(StatusText, EveryStatusHasOne) {
  for (bp_status status = BP_E_INTERNAL; status <= BP_NOT_READY; ++status) {
    EXPECT_THAT(status_text(status), ::testing::Not(HasSubstr("unknown"))) << status;
  }
  EXPECT_STREQ(status_text(-999), "an unknown failure");
  bp_error error = make_error();
  EXPECT_NO_THROW(check(BP_INCOMPLETE, error, "x"));
  std::memset(error.message, 'm', sizeof error.message);
  std::memset(error.domain, 'd', sizeof error.domain);
  error.native_code = -5;
  error.flags = BP_ERROR_RETRYABLE;
  error.scope = BP_SCOPE_DEVICE;
  try {
    check(-999, error, "cpu:0: finish");
    FAIL();
  } catch (const Error& thrown) {
    EXPECT_THAT(thrown.what(), HasSubstr("[cpu:0: finish] an unknown failure: mmm"));
    EXPECT_THAT(thrown.what(), HasSubstr("(dddddddddddddddd code -5)"));
    EXPECT_TRUE(thrown.retryable());
    EXPECT_EQ(thrown.scope(), static_cast<std::uint32_t>(BP_SCOPE_DEVICE));
  }
}

}  // namespace
}  // namespace backplane::host::test
