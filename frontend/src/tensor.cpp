// SPDX-License-Identifier: Apache-2.0
#include "backplane/tensor.h"

#include <cstring>
#include <sstream>

#include "backplane/graph/ops.h"
#include "backplane/sdk/convert.h"
#include "graph_context.h"
#include "tensor_impl.h"

namespace backplane {

namespace {

/// Calls `use(value)` with element `i` in its own type (halves and 8-bit floats as float).
template <class F>
void visit_element(DType dtype, const std::byte* data, size_t i, F&& use) {
  const auto load = [&](auto zero) {
    std::memcpy(&zero, data + i * sizeof zero, sizeof zero);
    return zero;
  };
  switch (dtype) {
    case DType::f32: return use(load(0.0f));
    case DType::f64: return use(load(0.0));
    case DType::f16:
    case DType::bf16:
    case DType::f8_e4m3:
    case DType::f8_e5m2:
      return use(static_cast<float>(bp_sdk_load(static_cast<uint32_t>(dtype), data, static_cast<int64_t>(i))));
    case DType::i32: return use(load(int32_t{0}));
    case DType::i64: return use(load(int64_t{0}));
    case DType::boolean: return use(static_cast<uint8_t>(load(uint8_t{0}) != 0));
  }
}

template <class T>
Tensor from_data(std::span<const T> data, const Type& type, const Device& device) {
  if (static_cast<int64_t>(data.size()) != type.elements()) {
    backplane::fail("tensor", "got " + std::to_string(data.size()) + " values for " + type.to_string() + ", which has " +
                                  std::to_string(type.elements()));
  }
  return Tensor::from_bytes(std::as_bytes(data), type, device);
}

void print_axis(std::ostream& out, const Tensor& x, std::span<const double> values, int axis, size_t& at, int64_t stride) {
  if (axis == x.rank()) {
    out << values[at++];
    return;
  }
  constexpr int64_t kEdge = 3;
  const int64_t extent = x.shape()[axis];
  const int64_t inner = extent > 0 ? stride / extent : 0;
  out << '{';
  for (int64_t i = 0; i < extent; ++i) {
    if (i > 0) out << ", ";
    if (extent > 2 * kEdge + 2 && i == kEdge) {
      out << "..., ";
      at += static_cast<size_t>((extent - 2 * kEdge) * inner);
      i = extent - kEdge;
    }
    print_axis(out, x, values, axis + 1, at, inner);
  }
  out << '}';
}

}  // namespace

graph::Bound TensorImpl::bound() const { return {storage, type, layout}; }

const TensorImpl& computed(const Tensor& x, const char* what, SourceLoc loc) {
  if (!x.defined()) backplane::fail(what, "the tensor is undefined", {}, loc, "give it a value first");
  if (x.is_symbolic()) {
    const TensorImpl& impl = *x.impl();
    backplane::fail(what, "the value of %" + std::to_string(impl.value.node) + " is not known while a graph is being built",
                    std::span(&impl.type, 1), loc,
                    "return it from the function or fetch it with Session::run; choose by value with where()");
  }
  return *x.impl();
}

Tensor make_tensor(const graph::Bound& bound) {
  auto impl = std::make_shared<TensorImpl>();
  impl->type = bound.type;
  impl->storage = bound.storage;
  impl->layout = bound.layout;
  return Tensor(std::move(impl));
}

Tensor::Tensor(double value) : Tensor(scalar_tensor(value, f32, default_device().stream())) {}

Tensor Tensor::from_bytes(std::span<const std::byte> bytes, const Type& type, const Device& device) {
  if (static_cast<int64_t>(bytes.size()) != type.bytes()) {
    backplane::fail("tensor", "got " + std::to_string(bytes.size()) + " bytes for " + type.to_string() + ", which has " +
                                  std::to_string(type.bytes()));
  }
  graph::StoragePtr storage = device.stream()->alloc(bytes.size());
  if (!bytes.empty()) device.stream()->upload(storage, 0, bytes.data(), bytes.size());
  return make_tensor({std::move(storage), type, dense_layout(type.shape)});
}

Tensor Tensor::from(std::span<const float> data, const Shape& shape, const Device& device) {
  return from_data(data, {f32, shape}, device);
}
Tensor Tensor::from(std::span<const double> data, const Shape& shape, const Device& device) {
  return from_data(data, {f64, shape}, device);
}
Tensor Tensor::from(std::span<const int32_t> data, const Shape& shape, const Device& device) {
  return from_data(data, {i32, shape}, device);
}
Tensor Tensor::from(std::span<const int64_t> data, const Shape& shape, const Device& device) {
  return from_data(data, {i64, shape}, device);
}

const Type& Tensor::type() const {
  if (!defined()) backplane::fail("tensor", "the tensor is undefined", {}, {}, "give it a value first");
  return impl_->type;
}

int64_t Tensor::size(int axis) const {
  return shape()[static_cast<int>(graph::normalize_axis(axis, rank(), "size"))];
}

bool Tensor::is_symbolic() const { return defined() && impl_->context != nullptr; }

Device Tensor::device() const { return Device(computed(*this, "device", {}).storage->stream()); }

std::vector<std::byte> Tensor::to_bytes(Here here) const {
  computed(*this, "to_bytes", here.loc);
  const Tensor dense = to_dense(*this);
  const TensorImpl& impl = *dense.impl();
  std::vector<std::byte> bytes(static_cast<size_t>(impl.type.bytes()));
  if (bytes.empty()) return bytes;
  try {
    impl.storage->stream()->download(bytes.data(), impl.storage,
                                     static_cast<uint64_t>(impl.layout.offset * size_of(impl.type.dtype)), bytes.size());
  } catch (const host::Error& error) {
    backplane::fail("to_bytes", error.what(), std::span(&impl.type, 1), here.loc);
  }
  return bytes;
}

template <class T>
std::vector<T> Tensor::to_vector(Here here) const {
  computed(*this, "to_vector", here.loc);
  const std::vector<std::byte> bytes = to_bytes(here);
  std::vector<T> values(static_cast<size_t>(elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    visit_element(dtype(), bytes.data(), i, [&](auto v) { values[i] = static_cast<T>(v); });
  }
  return values;
}
template std::vector<float> Tensor::to_vector(Here) const;
template std::vector<double> Tensor::to_vector(Here) const;
template std::vector<int32_t> Tensor::to_vector(Here) const;
template std::vector<int64_t> Tensor::to_vector(Here) const;
template std::vector<uint8_t> Tensor::to_vector(Here) const;

double Tensor::item(Here here) const {
  computed(*this, "item", here.loc);
  if (elements() != 1) {
    backplane::fail("item", "the tensor has " + std::to_string(elements()) + " elements, not one", std::span(&type(), 1),
                    here.loc, "reduce it first, or read all of them with to_vector()");
  }
  return to_vector<double>(here).front();
}

std::string Tensor::to_string() const {
  if (!defined()) return "undefined tensor";
  std::ostringstream out;
  out << type().to_string();
  if (is_symbolic()) {
    out << " %" << impl_->value.node;
  } else {
    out << ' ';
    size_t at = 0;
    print_axis(out, *this, to_vector<double>(), 0, at, elements());
  }
  return out.str();
}

Tensor Tensor::to(const Device& device) const {
  const TensorImpl& impl = computed(*this, "to", {});
  if (impl.storage->stream() == device.stream()) return *this;
  const Tensor dense = to_dense(*this);
  const TensorImpl& from = *dense.impl();
  const auto bytes = static_cast<uint64_t>(impl.type.bytes());
  const graph::StoragePtr storage = device.stream()->alloc(bytes);
  const auto offset = static_cast<uint64_t>(from.layout.offset * size_of(impl.type.dtype));
  if (bytes != 0 && !device.stream()->copy_from(storage, from.storage, offset, bytes)) {
    device.stream()->upload(storage, 0, dense.to_bytes().data(), bytes);
  }
  return make_tensor({storage, impl.type, dense_layout(impl.type.shape)});
}

Tensor Tensor::to(DType dtype, Here here) const {
  return apply1(graph::op::cast, {{"dtype", dtype}}, {In(*this, here)}, here);
}

Tensor Tensor::requires_grad() const {
  if (!is_float(dtype())) {
    backplane::fail("requires_grad", "gradients exist for float tensors only", std::span(&type(), 1));
  }
  if (is_symbolic()) return impl_->context->mark_leaf(*this);
  auto leaf = std::make_shared<TensorImpl>(*impl_);
  leaf->history = nullptr;
  leaf->leaf = std::make_shared<Leaf>();
  return Tensor(std::move(leaf));
}

Tensor Tensor::detach() const {
  if (is_symbolic()) return apply1(graph::op::stop_gradient, {}, {*this}, Here(SourceLoc{}));
  auto detached = std::make_shared<TensorImpl>(computed(*this, "detach", {}));
  detached->history = nullptr;
  detached->leaf = nullptr;
  return Tensor(std::move(detached));
}

Tensor Tensor::grad() const {
  if (!defined() || impl_->leaf == nullptr) return {};
  if (const GraphContext* context = GraphContext::current()) return context->grad(impl_->leaf);
  return impl_->leaf->grad;
}

void Tensor::zero_grad() const {
  if (!defined() || impl_->leaf == nullptr) return;
  if (GraphContext* context = GraphContext::current()) return context->set_grad(impl_->leaf, {});
  impl_->leaf->grad = {};
}

void Tensor::backward(const Tensor& dy, Here here) const {
  if (!defined()) backplane::fail("backward", "the tensor is undefined", {}, here.loc);
  if (is_symbolic()) return impl_->context->backward(*this, dy, here.loc);
  const NoGrad no_history;
  std::vector<std::shared_ptr<Leaf>> leaves;
  const std::vector<Tensor> dys = dy.defined() ? std::vector<Tensor>{dy} : std::vector<Tensor>{};
  const std::vector<Tensor> grads = eager_gradients(std::span(this, 1), {}, dys, here.loc, &leaves);
  if (leaves.empty()) {
    backplane::fail("backward", "the result does not depend on any tensor that requires a gradient",
                    std::span(&type(), 1), here.loc, "use a Variable, or requires_grad() on an input");
  }
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!grads[i].defined()) continue;
    Tensor& slot = leaves[i]->grad;
    slot = slot.defined() ? slot + grads[i] : grads[i];
  }
}

}  // namespace backplane
