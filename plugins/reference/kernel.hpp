// SPDX-License-Identifier: Apache-2.0
// The base of every kernel here: copies of what prepare was given, dense working copies of operands, epilogues.
//
// A kernel loads its operands as dense row-major arrays of one working type - double for floats, int64_t for integers
// and bool, which wraps to the right i32 when stored - computes on plain arrays, and stores with conversion and
// strides. Scratch comes from the workspace; nothing is allocated while running.
#pragma once

#include <memory>
#include <vector>

#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"

namespace backplane::reference {

using sdk::pointer;

inline bool is_float(uint32_t dtype) { return sdk::is_float(dtype); }
inline int64_t numel(const bp_tensor_desc& desc) { return bp_sdk_numel(&desc); }

/// The same shape, dense and row-major, of another dtype.
bp_tensor_desc dense(const bp_tensor_desc& like, uint32_t dtype);
bp_tensor_desc dense(std::initializer_list<int64_t> shape, uint32_t dtype);

/// Cuts arrays out of the workspace. Constructed on NULL it only measures.
class Scratch {
 public:
  explicit Scratch(char* base) : base_(reinterpret_cast<uintptr_t>(base)) {}
  template <class T>
  T* take(int64_t count) {
    const uintptr_t result = base_ + used_;
    used_ += (static_cast<uint64_t>(count) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(result);
  }
  uint64_t used() const { return used_; }

 private:
  uintptr_t base_;
  uint64_t used_ = 0;
};

/// Row-major dense copy of a strided tensor, and back. W is double or int64_t.
template <class W>
void load_dense(const bp_tensor_desc& desc, const void* base, W* dense);
template <class W>
void store_dense(const bp_tensor_desc& desc, void* base, const W* dense);

class Kernel : public sdk::HostKernel {
 protected:
  explicit Kernel(const bp_op& op) : copy_(op), own_inputs_(sdk::own_inputs(op)) {}

  const bp_tensor_desc& in(uint32_t i) const { return copy_.in(i); }
  const bp_tensor_desc& out(uint32_t i) const { return copy_.out(i); }
  bool has_program() const { return copy_.op().program != nullptr; }
  const bp_program& program() const { return *copy_.op().program; }

  /// Dense copy of operand i in scratch.
  template <class W>
  W* load(uint32_t i, const bp_view* inputs, Scratch& scratch) const {
    W* dense = scratch.take<W>(numel(in(i)));
    load_dense(in(i), pointer(inputs[i]), dense);
    return dense;
  }
  /// Bytes that dense copies of all operands take.
  uint64_t dense_bytes(bool inputs, bool outputs) const;
  /// Bytes that `finish` takes for results shaped like output 0.
  uint64_t epilogue_bytes(int64_t count) const;
  /// Stores the results `values`, dense, shaped like `slice` of output 0 at element offset `at`, through the epilogue
  /// when there is one. `extra_at[j]` is the element offset of the slice in the epilogue's j-th extra input.
  template <class W>
  void finish(const bp_tensor_desc& slice, int64_t at, const int64_t* extra_at, const W* values,
              const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const;
  /// The whole of output 0.
  template <class W>
  void finish(const W* values, const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    finish(out(0), 0, nullptr, values, inputs, outputs, scratch);
  }
  uint32_t own_inputs() const { return own_inputs_; }
  uint32_t num_inputs() const { return copy_.op().num_inputs; }
  uint32_t num_outputs() const { return copy_.op().num_outputs; }

 private:
  sdk::OpCopy copy_;
  uint32_t own_inputs_;
};

/// A kernel whose body is `void compute<W>(inputs, outputs, Scratch&) const` for the working type of operand 0.
template <class Derived>
class TypedKernel : public Kernel {
 public:
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) const final {
    Scratch scratch(this->workspace != 0 ? pointer(workspace) : nullptr);
    const Derived& self = static_cast<const Derived&>(*this);
    if (is_float(in(0).dtype) || sdk::is_f8(in(0).dtype)) self.template compute<double>(inputs, outputs, scratch);
    else self.template compute<int64_t>(inputs, outputs, scratch);
  }

 protected:
  using Kernel::Kernel;
};

using Factory = std::unique_ptr<sdk::HostKernel> (*)(const bp_op&);

std::unique_ptr<sdk::HostKernel> make_pointwise(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_reduce(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_matmul(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_gather(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_scatter_add(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_convolution(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_pool(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_pool_grad(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_softmax(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_softmax_grad(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_log_softmax(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_log_softmax_grad(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_normalize(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_normalize_grad(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_attention(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_attention_grad(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_random(const bp_op& op);
std::unique_ptr<sdk::HostKernel> make_sort(const bp_op& op);

}  // namespace backplane::reference
