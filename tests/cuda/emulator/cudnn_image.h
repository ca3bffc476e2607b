// SPDX-License-Identifier: Apache-2.0
// A tensor of emulated cuDNN as numbers.
#pragma once

#include "cudnn_descriptor.h"
#include "elements.h"

namespace emulator::dnn {

inline Element element(const Descriptor& tensor) {
  const int type = tensor.one<int>(901);
  return type == 1 ? Element::f64 : type == 0 ? Element::f32 : type == 2 ? Element::f16 : Element::bf16;
}

/// An operand with three spatial axes, and its elements in row-major order.
struct Image {
  int64_t extents[5] = {1, 1, 1, 1, 1}, strides[5] = {0, 0, 0, 0, 0};
  Element type;
  char* memory;
  std::vector<double> elements;

  Image(const Descriptor& tensor, const Memory& memory_of)
      : type(element(tensor)), memory(memory_of.at(tensor.one<int64_t>(906))) {
    const Shape shape(tensor);
    const size_t missing = 5 - shape.extents.size();
    for (size_t i = 0; i < shape.extents.size(); ++i) {
      const size_t axis = i < 2 ? i : i + missing;
      extents[axis] = shape.extents[i], strides[axis] = shape.strides[i];
    }
    each([&](int64_t at) { elements.push_back(emulator::load(type, memory, at)); });
  }
  void store() {
    size_t next = 0;
    each([&](int64_t at) { emulator::store(type, memory, at, elements[next++]); });
  }
  template <class F>
  void each(F visit) const {
    int64_t i[5];
    for (i[0] = 0; i[0] < extents[0]; ++i[0])
      for (i[1] = 0; i[1] < extents[1]; ++i[1])
        for (i[2] = 0; i[2] < extents[2]; ++i[2])
          for (i[3] = 0; i[3] < extents[3]; ++i[3])
            for (i[4] = 0; i[4] < extents[4]; ++i[4]) {
              visit(i[0] * strides[0] + i[1] * strides[1] + i[2] * strides[2] + i[3] * strides[3] + i[4] * strides[4]);
            }
  }
  double& at(int64_t a, int64_t b, const int64_t* s) {
    return elements[static_cast<size_t>((((a * extents[1] + b) * extents[2] + s[0]) * extents[3] + s[1]) * extents[4] + s[2])];
  }
};

}  // namespace emulator::dnn
