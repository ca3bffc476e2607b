// SPDX-License-Identifier: Apache-2.0
// Walks over dense index spaces: some axes of a tensor, or all of them with a second tensor alongside.
#pragma once

#include "kernel.hpp"

namespace backplane::reference {

/// A few axes with their strides.
struct Axes {
  int rank = 0;
  int64_t shape[BP_MAX_RANK] = {}, strides[BP_MAX_RANK] = {};
  int64_t count = 1;

  void add(int64_t extent, int64_t stride) {
    shape[rank] = extent;
    strides[rank++] = stride;
    count *= extent;
  }
  /// body(offset) for each position, in row-major order.
  template <class Body>
  void for_each(Body&& body) const {
    if (count == 0) return;
    int64_t index[BP_MAX_RANK] = {}, offset = 0;
    for (;;) {
      body(offset);
      int axis = rank - 1;
      for (; axis >= 0; --axis) {
        offset += strides[axis];
        if (++index[axis] < shape[axis]) break;
        offset -= strides[axis] * shape[axis];
        index[axis] = 0;
      }
      if (axis < 0) return;
    }
  }
};

/// All of x's positions; the offset is that of the element of `target` which x's element is summed into: target has
/// x's rank and extent 1 where it is broadcast.
inline Axes onto(const bp_tensor_desc& x, const bp_tensor_desc& target) {
  const bp_tensor_desc flat = dense(target, target.dtype);
  Axes axes;
  for (uint32_t i = 0; i < x.rank; ++i) axes.add(x.shape[i], flat.shape[i] == 1 ? 0 : flat.strides[i]);
  return axes;
}

}  // namespace backplane::reference
