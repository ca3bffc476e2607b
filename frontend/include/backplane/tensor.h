// SPDX-License-Identifier: Apache-2.0
// Tensor: an immutable value, either computed (eager) or a node of a graph being built (symbolic, captured).
//
// The mode follows from the operands: an op on computed tensors runs now, an op with a graph value adds a node. `x += y`
// makes a new value and rebinds the name. Variable (variable.h) is the only thing that changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backplane/device.h"
#include "backplane/graph/types.h"

struct DLManagedTensor;           // backplane/dlpack.h, or DLPack's own header
struct DLManagedTensorVersioned;

namespace backplane {

/// Whether another library gets a tensor's own memory, which it must not write to, or a copy that is its alone.
enum class Lend { memory, copy };

struct TensorImpl;  // frontend/src/tensor_impl.h

class Tensor {
 public:
  Tensor() = default;
  /// A scalar of dtype f32 on the default device, so that functions take numbers.
  Tensor(double value);  // NOLINT: implicit on purpose

  /// From host data in row-major order; copies. Throws Error when the count does not match the shape.
  static Tensor from(std::span<const float> data, const Shape& shape, const Device& device = default_device());
  static Tensor from(std::span<const double> data, const Shape& shape, const Device& device = default_device());
  static Tensor from(std::span<const int32_t> data, const Shape& shape, const Device& device = default_device());
  static Tensor from(std::span<const int64_t> data, const Shape& shape, const Device& device = default_device());
  static Tensor from(std::initializer_list<float> data, const Shape& shape) {
    return from(std::span<const float>(data.begin(), data.size()), shape);
  }
  /// From the bytes of a dense tensor of any dtype.
  static Tensor from_bytes(std::span<const std::byte> bytes, const Type& type, const Device& device = default_device());

  /// A tensor of another library as a value of ours, in the same memory: nobody writes there any more, and all work on it
  /// is finished. The deleter is called when nothing uses the memory any longer; when this throws, the tensor remains
  /// the caller's. Throws Error when `device` does not reach that memory or the dtype is none of ours.
  static Tensor from_dlpack(DLManagedTensorVersioned* tensor, const Device& device = default_device(), Here here = {});
  static Tensor from_dlpack(DLManagedTensor* tensor, const Device& device = default_device(), Here here = {});

  bool defined() const { return impl_ != nullptr; }
  const Type& type() const;
  DType dtype() const { return type().dtype; }
  const Shape& shape() const { return type().shape; }
  int rank() const { return type().shape.rank(); }
  int64_t size(int axis) const;  ///< extent of an axis, negative counts from the end
  int64_t elements() const { return type().elements(); }
  bool is_symbolic() const;  ///< a node of a graph; has no value yet
  Device device() const;

  // Reading waits for the value. Inside a graph or trace it is an error that says what to do. ---------------------------
  /// The value of a tensor with one element, converted.
  double item(Here here = {}) const;
  /// All elements in row-major order, converted to T (float, double, int32_t, int64_t, bool as uint8_t).
  template <class T>
  std::vector<T> to_vector(Here here = {}) const;
  /// Dense bytes in the tensor's own dtype.
  std::vector<std::byte> to_bytes(Here here = {}) const;
  /// "f32[2,3] {{1, 2, 3}, {4, 5, 6}}", large tensors shortened.
  std::string to_string() const;

  // For other libraries of this process (docs/dlpack.md). Waits for the value; the receiver calls the deleter. Throws Error
  // where the device's memory has no address.
  /// In place, marked read-only; a copy where the strides run backwards or `lend` says so.
  DLManagedTensorVersioned* to_dlpack(Lend lend = Lend::memory, Here here = {}) const;
  /// For receivers of DLPack before 1.0, which cannot be told that they must not write: hence a copy unless asked.
  DLManagedTensor* to_dlpack_unversioned(Lend lend = Lend::copy, Here here = {}) const;

  Tensor to(const Device& device) const;
  Tensor to(DType dtype, Here here = {}) const;

  // Gradients --------------------------------------------------------------------------------------------------------
  /// The same value as a leaf whose grad() backward() fills.
  Tensor requires_grad() const;
  /// Adds d(this)/d(leaf) to every leaf's grad(). `this` has one element unless `dy` is given.
  void backward(const Tensor& dy = {}, Here here = {}) const;
  /// Sum of what backward() has put here since the last zero_grad(); undefined before.
  Tensor grad() const;
  void zero_grad() const;
  /// The same value without history.
  Tensor detach() const;

  // For the library ----------------------------------------------------------------------------------------------------
  explicit Tensor(std::shared_ptr<const TensorImpl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const TensorImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<const TensorImpl> impl_;
};

/// d(sum ys)/dxs as new values; differentiable again. Works on computed tensors and on graph values alike.
std::vector<Tensor> gradients(const Tensor& y, std::span<const Tensor> xs, Here here = {});
std::vector<Tensor> gradients(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> dys,
                              Here here = {});

/// Launches by eager ops of this process so far: on the device, and on the host fallback.
std::pair<size_t, size_t> eager_node_counts();

/// While it lives, eager ops of this thread record no history.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool saved_;
};

}  // namespace backplane
