// SPDX-License-Identifier: Apache-2.0
// The memory of a card lent and taken by DLPack; for cards whose memory has addresses.
#include "backplane/dlpack.h"

#include "cards/small_op.h"

namespace card_test {
namespace {

class Dlpack : public testing::Test {
 protected:
  Card& card_ = card_under_test();
  const bp_interop_api* interop_ = card_.interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  bp_error error_ = make_error();
  int released_ = 0;

  DLManagedTensorVersioned* lend(bp_view view, const bp_tensor_desc& desc) {
    DLManagedTensorVersioned* out = nullptr;
    const auto released = [](void* count) { ++*static_cast<int*>(count); };
    EXPECT_EQ(interop_->dlpack_export(card_.device, view, &desc, released, &released_, &out, &error_), BP_OK)
        << error_.message;
    return out;
  }
};

TEST_F(Dlpack, WhatIsLentIsUsedInPlaceAndGivenBackOnce) {
  SmallGather gather(card_);
  ASSERT_EQ(gather.prepare(&error_), BP_OK) << error_.message;
  const bp_tensor_desc backwards{BP_F32, 1, {SmallGather::kCount}, {-1}};
  const bp_view last = gather.x->view(4 * (SmallGather::kCount - 1));
  ASSERT_EQ(card_.queues->finish(card_.queue, &error_), BP_OK);
  DLManagedTensorVersioned* tensor = lend(last, backwards);
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->dl_tensor.strides[0], -1);

  bp_buffer* taken = nullptr;
  uint64_t offset = 0;
  bp_tensor_desc desc{};
  ASSERT_EQ(interop_->dlpack_import(card_.device, tensor, &taken, &offset, &desc, &error_), BP_OK) << error_.message;
  EXPECT_EQ(offset, 4u * (SmallGather::kCount - 1)) << "elements before element 0 belong to it";
  EXPECT_EQ(desc.strides[0], -1);
  ASSERT_EQ(gather.enqueue({taken, 0}, gather.y->view(0), &error_), BP_OK) << error_.message;
  EXPECT_TRUE(gather.is_turned(*gather.y));
  EXPECT_EQ(card_.queues->copy(card_.queue, gather.y->view(0), {taken, 4}, 4 * SmallGather::kCount, &error_),
            BP_E_INVALID_ARGUMENT)
      << "its end is known";
  EXPECT_EQ(released_, 0);
  card_.memory->free(taken);
  EXPECT_EQ(released_, 1);
}

TEST_F(Dlpack, ForeignMemoryOfElsewhereIsRefusedAndStaysTheCallers) {
  const Guarded memory(card_, nullptr, 64);
  const bp_tensor_desc desc{BP_F32, 1, {16}, {1}};
  DLManagedTensorVersioned* tensor = lend(memory.view(0), desc);
  ASSERT_NE(tensor, nullptr);
  const DLTensor own = tensor->dl_tensor;
  float host[16] = {};
  bp_buffer* taken = nullptr;
  uint64_t offset = 0;
  bp_tensor_desc got{};
  const auto refuses = [&](bp_status status, const char* why) {
    EXPECT_EQ(interop_->dlpack_import(card_.device, tensor, &taken, &offset, &got, &error_), status);
    EXPECT_NE(std::string(error_.message).find(why), std::string::npos) << error_.message;
    tensor->dl_tensor = own;
  };
  tensor->dl_tensor.device.device_id += 1;
  refuses(BP_E_UNSUPPORTED, "copy it there first");
  tensor->dl_tensor.device = {kDLCPU, 0};
  refuses(BP_E_UNSUPPORTED, "CPU device 0");
  tensor->dl_tensor.data = host;  // it claims to be where it is not
  refuses(BP_E_INVALID_ARGUMENT, "cannot reach");
  EXPECT_EQ(released_, 0);
  tensor->deleter(tensor);
  EXPECT_EQ(released_, 1);
}

}  // namespace
}  // namespace card_test
