// SPDX-License-Identifier: Apache-2.0
// Tensors lent to and taken from other libraries. What a tensor of DLPack says is read and written by the device's plugin;
// here it becomes a value that holds the memory, and the two generations of DLPack's struct are wrapped in each other.
//
// Not done: waiting on the device for another library's stream. Both sides finish their work before they hand over.
#include "backplane/dlpack.h"

#include <algorithm>

#include "backplane/graph/ops.h"
#include "backplane/graph/plan.h"
#include "tensor_impl.h"

namespace backplane {
namespace {

bool runs_backwards(const Type& type, const Layout& layout) {
  for (int axis = 0; axis < type.shape.rank(); ++axis) {
    if (type.shape[axis] > 1 && layout.strides[static_cast<size_t>(axis)] < 0) return true;
  }
  return false;
}

Tensor dense_copy(const Tensor& x, SourceLoc loc) {
  const NoGrad no_history;
  const graph::Attrs none(graph::op::copy.name, graph::op::copy.attrs, {});
  return eager_apply(graph::op::copy, none, std::span(&x, 1), loc).front();
}

/// One past the last byte that the elements lie in.
uint64_t bytes_of(const bp_tensor_desc& desc, uint64_t offset) {
  const auto size = static_cast<uint64_t>(size_of(static_cast<DType>(desc.dtype)));
  uint64_t last = 0;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] == 0) return 0;
    if (desc.strides[i] > 0) last += static_cast<uint64_t>(desc.strides[i]) * static_cast<uint64_t>(desc.shape[i] - 1);
  }
  return offset + (last + 1) * size;
}

/// Throws Error, and the tensor remains the caller's; afterwards its memory is the result's.
host::Received taken_over(DLManagedTensorVersioned* tensor, const Device& device, SourceLoc loc) {
  try {
    return device.stream()->device()->dlpack_import(tensor);
  } catch (const host::Error& error) {
    fail("from_dlpack", error.what(), {}, loc);
  }
}

Tensor value_of(host::Received received, const Device& device) {
  const bp_tensor_desc& desc = received.desc;
  const Type type{static_cast<DType>(desc.dtype), Shape(std::span(desc.shape, desc.rank))};
  Layout layout;
  layout.offset = static_cast<int64_t>(received.offset) / size_of(type.dtype);
  std::copy_n(desc.strides, desc.rank, layout.strides.begin());
  const uint64_t bytes = bytes_of(desc, received.offset);
  auto storage = std::make_shared<graph::Storage>(device.stream(), std::move(received.buffer), bytes);
  return make_tensor({std::move(storage), type, layout});
}

}  // namespace

DLManagedTensorVersioned* Tensor::to_dlpack(Lend lend, Here here) const {
  const TensorImpl& own = computed(*this, "to_dlpack", here.loc);
  const bool copied = lend == Lend::copy || runs_backwards(own.type, own.layout);
  const Tensor lent = copied ? dense_copy(*this, here.loc) : *this;
  const TensorImpl& impl = *lent.impl();
  try {
    impl.storage->stream()->finish();
    const auto offset = static_cast<uint64_t>(impl.layout.offset * size_of(impl.type.dtype));
    DLManagedTensorVersioned* tensor = impl.storage->stream()->device()->dlpack_export(
        {impl.storage->buffer(), offset}, to_desc(impl.type, impl.layout), impl.storage);
    tensor->flags |= copied ? DLPACK_FLAG_BITMASK_IS_COPIED : DLPACK_FLAG_BITMASK_READ_ONLY;
    return tensor;
  } catch (const host::Error& error) {
    fail("to_dlpack", error.what(), std::span(&impl.type, 1), here.loc);
  }
}

DLManagedTensor* Tensor::to_dlpack_unversioned(Lend lend, Here here) const {
  auto older = std::make_unique<DLManagedTensor>();
  DLManagedTensorVersioned* const tensor = to_dlpack(lend, here);
  older->dl_tensor = tensor->dl_tensor;
  older->manager_ctx = tensor;
  older->deleter = [](DLManagedTensor* self) {
    const std::unique_ptr<DLManagedTensor> ending(self);
    auto* const wrapped = static_cast<DLManagedTensorVersioned*>(self->manager_ctx);
    wrapped->deleter(wrapped);
  };
  return older.release();
}

Tensor Tensor::from_dlpack(DLManagedTensorVersioned* tensor, const Device& device, Here here) {
  if (tensor == nullptr) fail("from_dlpack", "the tensor is NULL", {}, here.loc);
  return value_of(taken_over(tensor, device, here.loc), device);
}

Tensor Tensor::from_dlpack(DLManagedTensor* tensor, const Device& device, Here here) {
  if (tensor == nullptr) fail("from_dlpack", "the tensor is NULL", {}, here.loc);
  auto newer = std::make_unique<DLManagedTensorVersioned>();
  newer->version = {DLPACK_MAJOR_VERSION, 0};
  newer->flags = 0;
  newer->dl_tensor = tensor->dl_tensor;
  newer->manager_ctx = tensor;
  newer->deleter = [](DLManagedTensorVersioned* self) {
    const std::unique_ptr<DLManagedTensorVersioned> ending(self);
    auto* const wrapped = static_cast<DLManagedTensor*>(self->manager_ctx);
    if (wrapped->deleter != nullptr) wrapped->deleter(wrapped);
  };
  host::Received received = taken_over(newer.get(), device, here.loc);
  newer.release();  // NOLINT: its deleter deletes it
  return value_of(std::move(received), device);
}

}  // namespace backplane
