// SPDX-License-Identifier: Apache-2.0
// GATHER and SCATTER_ADD along the middle axis of rank-3 views.
#include <cstring>

#include "kernel.hpp"

namespace backplane::reference {
namespace {

int64_t read_index(const bp_tensor_desc& desc, const void* base, int64_t i) {
  const int64_t at = i * desc.strides[0];
  return desc.dtype == BP_I64 ? static_cast<const int64_t*>(base)[at] : static_cast<const int32_t*>(base)[at];
}

class Gather final : public Kernel {
 public:
  explicit Gather(const bp_op& op) : Kernel(op) {}

  void run(const bp_view* inputs, const bp_view* outputs, const bp_view&) const override {
    switch (bp_sdk_dtype_size(in(0).dtype)) {  // bits are moved, whatever they mean
      case 1: return move<uint8_t>(inputs, outputs);
      case 2: return move<uint16_t>(inputs, outputs);
      case 4: return move<uint32_t>(inputs, outputs);
      default: return move<uint64_t>(inputs, outputs);
    }
  }

 private:
  template <class T>
  void move(const bp_view* inputs, const bp_view* outputs) const {
    const bp_tensor_desc &x = in(0), &y = out(0);
    const T* source = pointer<T>(inputs[0]);
    T* target = pointer<T>(outputs[0]);
    const void* indices = pointer(inputs[1]);
    for (int64_t k = 0; k < y.shape[1]; ++k) {
      const int64_t index = read_index(in(1), indices, k);
      const bool inside = index >= 0 && index < x.shape[1];
      for (int64_t o = 0; o < y.shape[0]; ++o) {
        T* to = target + o * y.strides[0] + k * y.strides[1];
        const T* from = inside ? source + o * x.strides[0] + index * x.strides[1] : nullptr;
        for (int64_t i = 0; i < y.shape[2]; ++i) to[i * y.strides[2]] = inside ? from[i * x.strides[2]] : T{};
      }
    }
  }
};

class ScatterAdd final : public TypedKernel<ScatterAdd> {
 public:
  explicit ScatterAdd(const bp_op& op) : TypedKernel(op) { workspace = dense_bytes(true, false); }

  template <class W>
  void compute(const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
    W* y = load<W>(0, inputs, scratch);
    const W* updates = load<W>(2, inputs, scratch);
    const void* indices = pointer(inputs[1]);
    const int64_t outer = in(0).shape[0], n = in(0).shape[1], inner = in(0).shape[2], k = in(2).shape[1];
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < k; ++j) {
        const int64_t index = read_index(in(1), indices, j);
        if (index < 0 || index >= n) continue;
        for (int64_t i = 0; i < inner; ++i) {
          W& target = y[(o * n + index) * inner + i];
          target = add(target, updates[(o * k + j) * inner + i]);
        }
      }
    }
    store_dense(out(0), pointer(outputs[0]), y);
  }

 private:
  static double add(double a, double b) { return a + b; }
  static int64_t add(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_gather(const bp_op& op) { return std::make_unique<Gather>(op); }
std::unique_ptr<sdk::HostKernel> make_scatter_add(const bp_op& op) { return std::make_unique<ScatterAdd>(op); }

}  // namespace backplane::reference
