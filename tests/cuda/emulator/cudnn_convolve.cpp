// SPDX-License-Identifier: Apache-2.0
// Convolutions by loops over what cuDNN's descriptors say.
#include <algorithm>

#include "cudnn_descriptor.h"
#include "cudnn_image.h"

namespace emulator::dnn {
namespace {

std::vector<int64_t> spatial(const Descriptor& conv, int attribute, int64_t missing) {
  std::vector<int64_t> values = conv.all<int64_t>(attribute);
  while (values.size() < 3) values.insert(values.begin(), missing);
  return values;
}

}  // namespace

/// y[n, o, p] = sum of w[o, c, q] x[n, g C + c, p stride - low + q dilation], or its adjoint in x or w.
void convolve(const Descriptor& operation, const Memory& memory) {
  const Operation part = operation_of(operation.kind);
  const Descriptor& conv = operation.part(part.convolution);
  Image x(operation.part(part.x), memory), w(operation.part(part.w), memory), y(operation.part(part.y), memory);
  Image& result = operation.kind == 10 ? y : operation.kind == 12 ? x : w;
  std::fill(result.elements.begin(), result.elements.end(), 0);
  const auto strides = spatial(conv, 103, 1), dilations = spatial(conv, 102, 1), low = spatial(conv, 105, 0);
  const int64_t channels = w.extents[1], per_group = y.extents[1] / (x.extents[1] / channels);
  const int64_t taps = w.extents[2] * w.extents[3] * w.extents[4];
  const auto position = [](int64_t index, const int64_t* extents, int64_t* out) {
    for (int axis = 3; axis-- > 0; index /= extents[axis]) out[axis] = index % extents[axis];
  };
  for (int64_t at = 0; at < static_cast<int64_t>(y.elements.size()); ++at) {
    const int64_t places = y.extents[2] * y.extents[3] * y.extents[4];
    const int64_t o = at / places % y.extents[1], n = at / places / y.extents[1];
    int64_t p[3], q[3], from[3];
    position(at % places, y.extents + 2, p);
    for (int64_t tap = 0; tap < taps; ++tap) {
      position(tap, w.extents + 2, q);
      bool inside = true;
      for (int axis = 0; axis < 3; ++axis) {
        const size_t a = static_cast<size_t>(axis);
        from[axis] = p[axis] * strides[a] - low[a] + q[axis] * dilations[a];
        inside = inside && from[axis] >= 0 && from[axis] < x.extents[axis + 2];
      }
      for (int64_t c = 0; inside && c < channels; ++c) {
        double &xv = x.at(n, o / per_group * channels + c, from), &wv = w.at(o, c, q), &yv = y.at(n, o, p);
        if (operation.kind == 10) yv += wv * xv;
        else if (operation.kind == 12) xv += wv * yv;
        else wv += xv * yv;
      }
    }
  }
  result.store();
}

}  // namespace emulator::dnn
