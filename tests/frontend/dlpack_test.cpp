// SPDX-License-Identifier: Apache-2.0
// Tensors lent to and taken from other libraries: whose memory it is, until when, and what cannot be said.
#include "backplane/dlpack.h"

#include <array>
#include <cstddef>
#include <memory>
#include <numeric>

#include "frontend/support.h"

namespace backplane::tests {
namespace {

// The layout that other libraries have, from DLPack's specification.
static_assert(sizeof(DLTensor) == 48 && offsetof(DLTensor, ndim) == 16 && offsetof(DLTensor, dtype) == 20 &&
              offsetof(DLTensor, shape) == 24 && offsetof(DLTensor, byte_offset) == 40);
static_assert(sizeof(DLManagedTensor) == 64 && offsetof(DLManagedTensor, manager_ctx) == 48);
static_assert(sizeof(DLManagedTensorVersioned) == 80 && offsetof(DLManagedTensorVersioned, manager_ctx) == 8 &&
              offsetof(DLManagedTensorVersioned, flags) == 24 && offsetof(DLManagedTensorVersioned, dl_tensor) == 32);

struct CallDeleter {
  template <class T>
  void operator()(T* tensor) const {
    tensor->deleter(tensor);
  }
};
using Lent = std::unique_ptr<DLManagedTensorVersioned, CallDeleter>;
using LentUnversioned = std::unique_ptr<DLManagedTensor, CallDeleter>;

/// Another library's tensor of 24 numbers 0, 1, ... as [2, 3, 4] unless changed; counts how often it is given back.
template <class Managed>
struct Foreign {
  explicit Foreign(DLDataType type = {kDLFloat, 32, 1}) {
    std::iota(values.begin(), values.end(), 0.0f);
    managed.dl_tensor = {values.data(), {kDLCPU, 0}, 3, type, shape.data(), strides.data(), 0};
    managed.manager_ctx = this;
    managed.deleter = [](Managed* self) { ++static_cast<Foreign*>(self->manager_ctx)->given_back; };
  }
  std::array<float, 24> values;
  std::array<int64_t, 9> shape{2, 3, 4};
  std::array<int64_t, 9> strides{12, 4, 1};
  Managed managed{};
  int given_back = 0;
};
struct Newer : Foreign<DLManagedTensorVersioned> {
  explicit Newer(DLDataType type = {kDLFloat, 32, 1}) : Foreign(type) { managed.version = {1, 7}; }
};
using Older = Foreign<DLManagedTensor>;

const float* data_of(const DLTensor& t) {
  return reinterpret_cast<const float*>(static_cast<const char*>(t.data) + t.byte_offset);
}

TEST(DlpackExport, LendsItsMemoryReadOnly) {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  const Lent first(x.to_dlpack()), second(x.to_dlpack());
  const DLTensor& t = first->dl_tensor;
  EXPECT_EQ(first->version.major, 1u);
  EXPECT_EQ(first->flags, DLPACK_FLAG_BITMASK_READ_ONLY);
  EXPECT_EQ(t.data, second->dl_tensor.data) << "not a copy";
  EXPECT_EQ(t.device.device_type, kDLCPU);
  EXPECT_EQ(t.dtype.code, kDLFloat);
  EXPECT_EQ(t.dtype.bits, 32);
  EXPECT_EQ(t.dtype.lanes, 1);
  EXPECT_THAT(std::vector<int64_t>(t.shape, t.shape + t.ndim), ElementsAre(2, 3));
  EXPECT_THAT(std::vector<int64_t>(t.strides, t.strides + t.ndim), ElementsAre(3, 1));
  EXPECT_THAT(std::vector<float>(data_of(t), data_of(t) + 6), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(DlpackExport, TheMemoryOutlivesTheTensor) {
  Tensor x = Tensor::from({1, 2, 3, 4}, {4});
  const Lent lent(x.to_dlpack());
  x = {};
  const Tensor other = Tensor::from({9, 9, 9, 9}, {4}) + 0.0;  // would get the block if it were free
  EXPECT_THAT(std::vector<float>(data_of(lent->dl_tensor), data_of(lent->dl_tensor) + 4), ElementsAre(1, 2, 3, 4));
}

TEST(DlpackExport, ViewsKeepTheirStrides) {
  const Tensor x = Tensor::from({0, 1, 2, 3, 4, 5}, {2, 3});
  const Lent whole(x.to_dlpack()), turned(transpose(x).to_dlpack()), wide(expand(x, {4, 2, 3}).to_dlpack());
  EXPECT_EQ(turned->dl_tensor.data, whole->dl_tensor.data);
  EXPECT_THAT(std::vector<int64_t>(turned->dl_tensor.strides, turned->dl_tensor.strides + 2), ElementsAre(1, 3));
  EXPECT_THAT(std::vector<int64_t>(wide->dl_tensor.strides, wide->dl_tensor.strides + 3), ElementsAre(0, 3, 1));
  const Lent part(slice(x, 1, 1, 3).to_dlpack());
  EXPECT_EQ(data_of(part->dl_tensor), data_of(whole->dl_tensor) + 1);
}

TEST(DlpackExport, BackwardsAndOnRequestItIsACopy) {
  const Tensor x = Tensor::from({0, 1, 2}, {3});
  const Lent whole(x.to_dlpack()), flipped(flip(x, {0}).to_dlpack()), copy(x.to_dlpack(Lend::copy));
  for (const Lent* each : {&flipped, &copy}) {
    EXPECT_EQ((*each)->flags, DLPACK_FLAG_BITMASK_IS_COPIED);
    EXPECT_NE((*each)->dl_tensor.data, whole->dl_tensor.data);
    EXPECT_EQ((*each)->dl_tensor.strides[0], 1);
  }
  EXPECT_THAT(std::vector<float>(data_of(flipped->dl_tensor), data_of(flipped->dl_tensor) + 3), ElementsAre(2, 1, 0));
  *static_cast<float*>(copy->dl_tensor.data) = 7;
  EXPECT_THAT(values(x), ElementsAre(0, 1, 2));
}

TEST(DlpackExport, TheOlderStructIsACopyUnlessAskedForTheMemory) {
  const Tensor x = Tensor::from({1, 2}, {2});
  const Lent whole(x.to_dlpack());
  const LentUnversioned copy(x.to_dlpack_unversioned()), same(x.to_dlpack_unversioned(Lend::memory));
  EXPECT_NE(copy->dl_tensor.data, whole->dl_tensor.data);
  EXPECT_EQ(same->dl_tensor.data, whole->dl_tensor.data);
  EXPECT_THAT(std::vector<float>(data_of(copy->dl_tensor), data_of(copy->dl_tensor) + 2), ElementsAre(1, 2));
}

TEST(DlpackImport, UsesTheMemoryInPlaceAndGivesItBackOnce) {
  Newer theirs;
  {
    Tensor x = Tensor::from_dlpack(&theirs.managed);
    EXPECT_EQ(x.shape(), Shape({2, 3, 4}));
    EXPECT_EQ(x.to_vector<float>()[23], 23.0f);
    const Lent again(x.to_dlpack());
    EXPECT_EQ(again->dl_tensor.data, theirs.values.data());
    const Tensor row = slice(x, 0, 1, 2);
    x = {};
    EXPECT_EQ(theirs.given_back, 0) << "a view and a loan still use it";
    EXPECT_FLOAT_EQ(static_cast<float>(sum(row).item()), 12 * 17.5f);
  }
  EXPECT_EQ(theirs.given_back, 1);
  Older older;
  EXPECT_EQ(Tensor::from_dlpack(&older.managed).to_vector<float>()[5], 5.0f);
  EXPECT_EQ(older.given_back, 1);
}

TEST(DlpackImport, StridesOfEveryKind) {
  Newer permuted;  // [4, 3, 2] of the same memory
  permuted.shape = {4, 3, 2};
  permuted.strides = {1, 4, 12};
  EXPECT_EQ(Tensor::from_dlpack(&permuted.managed).to_vector<float>()[1], 12.0f);
  Newer backwards;
  backwards.managed.dl_tensor.ndim = 1;
  backwards.managed.dl_tensor.byte_offset = 23 * sizeof(float);
  backwards.shape = {12};
  backwards.strides = {-2};
  const Tensor odd = Tensor::from_dlpack(&backwards.managed);
  EXPECT_THAT(values(odd + 0.0), ElementsAre(23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1));
  Newer repeated;
  repeated.shape = {2, 2, 2};
  repeated.strides = {0, 0, 1};
  EXPECT_THAT(values(Tensor::from_dlpack(&repeated.managed)), ElementsAre(0, 1, 0, 1, 0, 1, 0, 1));
  Newer compact;
  compact.managed.dl_tensor.strides = nullptr;
  EXPECT_EQ(Tensor::from_dlpack(&compact.managed).to_vector<float>()[17], 17.0f);
  Newer scalar;
  scalar.managed.dl_tensor.ndim = 0;
  scalar.managed.dl_tensor.shape = scalar.managed.dl_tensor.strides = nullptr;
  scalar.managed.dl_tensor.byte_offset = 4 * sizeof(float);
  EXPECT_EQ(Tensor::from_dlpack(&scalar.managed).item(), 4.0);
}

TEST(DlpackImport, NoElementsNeedNoMemory) {
  Newer theirs;
  theirs.shape = {2, 0, 4};
  theirs.managed.dl_tensor.data = nullptr;
  {
    const Tensor x = Tensor::from_dlpack(&theirs.managed);
    EXPECT_EQ(x.shape(), Shape({2, 0, 4}));
    EXPECT_THAT(values(sum(x, {1})), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0));
    const Lent lent(x.to_dlpack());
    EXPECT_EQ(lent->dl_tensor.data, nullptr);
  }
  EXPECT_EQ(theirs.given_back, 1);
}

TEST(Dlpack, EveryDtypeGoesOutAndComesBack) {
  for (const DType dtype : kAllDTypes) {
    const Tensor x = Tensor::from({0, 1, 1, 0}, {4}).to(dtype);
    const Tensor back = Tensor::from_dlpack(x.to_dlpack());  // `back` gives the loan back
    EXPECT_EQ(back.dtype(), dtype);
    EXPECT_THAT(values(back.to(f32)), ElementsAre(0, 1, 1, 0)) << name_of(dtype);
  }
  const Lent half(Tensor::from({1}, {1}).to(bf16).to_dlpack()), truth(Tensor::from({1}, {1}).to(boolean).to_dlpack());
  EXPECT_EQ(half->dl_tensor.dtype.code, kDLBfloat);
  EXPECT_EQ(truth->dl_tensor.dtype.code, kDLBool);
  EXPECT_EQ(Lent(Tensor::from({1}, {1}).to(f8_e4m3).to_dlpack())->dl_tensor.dtype.code, kDLFloat8_e4m3fn);
  EXPECT_EQ(Lent(Tensor::from({1}, {1}).to(f8_e5m2).to_dlpack())->dl_tensor.dtype.code, kDLFloat8_e5m2);
  EXPECT_EQ(truth->dl_tensor.dtype.bits, 8);
}

TEST(DlpackImport, WhatCannotBeTakenStaysTheCallers) {
  const auto refused = [](auto change, const char* why) {
    Newer theirs;
    change(theirs.managed);
    EXPECT_THAT(message_of([&] { Tensor::from_dlpack(&theirs.managed); }), HasSubstr(why));
    EXPECT_EQ(theirs.given_back, 0) << why;
  };
  refused([](auto& t) { t.version.major = 2; }, "DLPack 2");
  refused([](auto& t) { t.dl_tensor.dtype = {kDLComplex, 64, 1}; }, "complex64");
  refused([](auto& t) { t.dl_tensor.dtype = {kDLUInt, 8, 1}; }, "uint8; cast");
  refused([](auto& t) { t.dl_tensor.dtype = {kDLFloat, 32, 4}; }, "float32x4");
  refused([](auto& t) { t.dl_tensor.device = {kDLCUDA, 1}; }, "CUDA device 1");
  refused([](auto& t) { t.dl_tensor.device = {kDLVulkan, 0}; }, "Vulkan device 0");
  refused([](auto& t) { t.dl_tensor.ndim = 9; }, "rank 9");
  refused([](auto& t) { t.dl_tensor.byte_offset = 2; }, "multiples of their size");
  refused([](auto& t) { t.dl_tensor.data = nullptr; }, "data is NULL");
  refused([](auto& t) { t.dl_tensor.shape[0] = -1; }, "negative");
  refused([](auto& t) { t.dl_tensor.strides[0] = INT64_MAX / 2, t.dl_tensor.shape[0] = 9; }, "beyond any memory");
  Older older;
  older.managed.dl_tensor.dtype = {kDLUInt, 16, 1};
  EXPECT_THAT(message_of([&] { Tensor::from_dlpack(&older.managed); }), HasSubstr("uint16"));
  EXPECT_EQ(older.given_back, 0);
}

TEST(Dlpack, CompiledStepsTrainOnBorrowedMemoryWithoutTouchingIt) {
  Newer theirs;
  theirs.managed.flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  {
    const Variable w(Tensor::from_dlpack(&theirs.managed));
    auto step = compile([&](const Tensor& x) {
      w.assign(w.read() * 0.5 + x);
      return sum(w.read());
    });
    for (int i = 0; i < 3; ++i) step(Tensor(1.0));
    EXPECT_FLOAT_EQ(w.read().to_vector<float>()[8], 8 * 0.125f + 1.75f);
  }
  for (size_t i = 0; i < 24; ++i) ASSERT_EQ(theirs.values[i], static_cast<float>(i));
  EXPECT_EQ(theirs.given_back, 1);
}

TEST(Dlpack, AGraphHasNoMemoryToLend) {
  Graph graph;
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {2});
  EXPECT_THAT(message_of([&] { x.to_dlpack(); }), HasSubstr("[to_dlpack]"));
}

}  // namespace
}  // namespace backplane::tests
