// SPDX-License-Identifier: Apache-2.0
// Drivers that fail: the fault layer makes one call fail, and the card has to say what it means and what still works.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <dlfcn.h>

#include <cstdlib>

#include "cards/small_op.h"

namespace card_test {
namespace {

using SetFault = void (*)(const char* function, int code, unsigned skip, unsigned count);

class OpenClFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("OPENCL_LAYERS", FAULT_LAYER, 1);  // before the loader's first call
    set_ = reinterpret_cast<SetFault>(dlsym(dlopen(FAULT_LAYER, RTLD_NOW | RTLD_LOCAL), "opencl_fault_set"));
    ASSERT_NE(set_, nullptr);
  }
  void SetUp() override { card_ = std::make_unique<Card>(card_facts().plugin); }
  void TearDown() override {
    set_("", 0, 0, 0);
    card_.reset();
  }
  bool works() {
    bp_error error = make_error();
    SmallGather gather(*card_);
    return gather.prepare(&error) == BP_OK && gather.enqueue(&error) == BP_OK && gather.is_turned(*gather.y);
  }

  static inline SetFault set_ = nullptr;
  std::unique_ptr<Card> card_;
  bp_error error_ = make_error();
};

TEST_F(OpenClFaults, NoMemory) {
  bp_buffer* buffer = nullptr;
  set_("clCreateBuffer", CL_MEM_OBJECT_ALLOCATION_FAILURE, 0, 2);  // also after everything idle was given back
  EXPECT_EQ(card_->memory->alloc(card_->device, 50u << 20, BP_MEMORY_DEVICE, &buffer, &error_), BP_E_OUT_OF_MEMORY);
  EXPECT_TRUE((error_.flags & BP_ERROR_RETRYABLE) != 0);
  EXPECT_STREQ(error_.domain, "opencl");
  EXPECT_EQ(error_.native_code, CL_MEM_OBJECT_ALLOCATION_FAILURE);
  EXPECT_TRUE(works());
  set_("clCreateBuffer", CL_MEM_OBJECT_ALLOCATION_FAILURE, 0, 1);
  EXPECT_EQ(card_->memory->alloc(card_->device, 50u << 20, BP_MEMORY_DEVICE, &buffer, &error_), BP_OK);
  card_->memory->free(buffer);
}

TEST_F(OpenClFaults, LaunchesThatTheDriverDeclinesFailAsCalls) {
  SmallGather gather(*card_);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  set_("clEnqueueNDRangeKernel", CL_OUT_OF_RESOURCES, 0, 1);
  EXPECT_EQ(gather.enqueue(&error_), BP_E_OUT_OF_MEMORY);
  EXPECT_NE(std::string(error_.message).find("CL_OUT_OF_RESOURCES"), std::string::npos) << error_.message;
  EXPECT_TRUE(works());
  EXPECT_TRUE(card_->device_events.empty());
}

TEST_F(OpenClFaults, TextsThatDoNotCompileAreNamed) {
  SmallGather gather(*card_);
  set_("clBuildProgram", CL_BUILD_PROGRAM_FAILURE, 0, 1);
  EXPECT_EQ(gather.prepare(&error_), BP_E_COMPILE);
  EXPECT_NE(std::string(error_.message).find("gather"), std::string::npos) << error_.message;
  EXPECT_EQ(gather.prepare(&error_), BP_OK) << "a failed build is not remembered";
}

TEST_F(OpenClFaults, ACrashedDeviceStaysLost) {
  SmallGather gather(*card_);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  ASSERT_EQ(gather.enqueue(&error_), BP_OK);
  set_("clFinish", CL_OUT_OF_RESOURCES, 0, 1);  // what drivers return when a kernel has crashed
  EXPECT_EQ(card_->queues->finish(card_->queue, &error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(error_.scope, uint32_t{BP_SCOPE_DEVICE});
  ASSERT_EQ(card_->device_events.size(), 1u);
  EXPECT_EQ(card_->device_events[0].code, BP_E_DEVICE_LOST);
  bp_buffer* buffer = nullptr;
  bp_queue* queue = nullptr;
  EXPECT_EQ(card_->memory->alloc(card_->device, 64, BP_MEMORY_DEVICE, &buffer, &error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(card_->queues->create(card_->device, &queue, &error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(gather.enqueue(&error_), BP_E_DEVICE_LOST);
  EXPECT_EQ(card_->queues->finish(card_->queue, &error_), BP_E_DEVICE_LOST);
  EXPECT_NE(std::string(error_.message).find("open it again"), std::string::npos) << error_.message;
  EXPECT_EQ(card_->device_events.size(), 1u);
  // A device opened again is another one.
  Card again(card_facts().plugin);
  SmallGather fresh(again);
  EXPECT_EQ(fresh.prepare(&error_), BP_OK);
  EXPECT_EQ(fresh.enqueue(&error_), BP_OK);
  EXPECT_TRUE(fresh.is_turned(*fresh.y));
}

TEST_F(OpenClFaults, FailuresTravelWithEvents) {
  bp_queue* other = nullptr;
  bp_event *event = nullptr, *later = nullptr;
  ASSERT_EQ(card_->queues->create(card_->device, &other, &error_), BP_OK);
  ASSERT_EQ(card_->queues->event_create(card_->device, &event, &error_), BP_OK);
  ASSERT_EQ(card_->queues->event_create(card_->device, &later, &error_), BP_OK);
  SmallGather gather(*card_);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  ASSERT_EQ(gather.enqueue(&error_), BP_OK);
  ASSERT_EQ(card_->queues->event_record(card_->queue, event, &error_), BP_OK);
  set_("event", CL_MEM_OBJECT_ALLOCATION_FAILURE, 0, 1);
  EXPECT_EQ(card_->queues->event_sync(event, UINT64_MAX, &error_), BP_E_OUT_OF_MEMORY);
  EXPECT_EQ(card_->queues->event_sync(event, 0, &error_), BP_E_OUT_OF_MEMORY) << "it stays failed";
  ASSERT_EQ(card_->queues->event_wait(other, event, &error_), BP_OK);
  ASSERT_EQ(card_->queues->event_record(other, later, &error_), BP_OK);
  EXPECT_EQ(card_->queues->event_sync(later, 0, &error_), BP_E_OUT_OF_MEMORY);
  EXPECT_EQ(card_->queues->finish(other, &error_), BP_E_DEPENDENCY);
  EXPECT_EQ(error_.code, BP_E_OUT_OF_MEMORY) << "the error is the original one";
  EXPECT_EQ(card_->queues->finish(other, &error_), BP_OK) << "reported once";
  EXPECT_TRUE(works());
  card_->queues->event_destroy(event);
  card_->queues->event_destroy(later);
  card_->queues->destroy(other);
}

}  // namespace
}  // namespace card_test
