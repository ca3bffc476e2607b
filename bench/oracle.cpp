// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels.h"

namespace backplane::bench {

namespace {

/// About a second on the reference device, which computes in plain loops.
constexpr double kReferenceFlops = 3e8;

template <class T>
double largest_difference(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  double worst = 0, largest = 1e-30;
  for (size_t at = 0; at + sizeof(T) <= a.size(); at += sizeof(T)) {
    T x, y;
    std::memcpy(&x, &a[at], sizeof(T));
    std::memcpy(&y, &b[at], sizeof(T));
    const auto difference = std::abs(static_cast<double>(x) - static_cast<double>(y));
    if (!std::isfinite(difference)) return INFINITY;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(static_cast<double>(y)));
  }
  return worst / largest;
}

/// Units of rounding that a variant of these notes may be off by, beside those of its sums.
double roundings_of(uint32_t notes) {
  double roundings = 64;
  // F(4x4, 3x3) magnifies by the norms of its transforms, 100 to 1000 in all (Barabasz and others, "Error analysis and
  // improving the accuracy of Winograd convolution", 2020).
  if ((notes & (BP_NOTE_WINOGRAD | BP_NOTE_FFT)) != 0) roundings *= 16;
  if ((notes & BP_NOTE_FAST_MATH) != 0) roundings *= 4;
  if ((notes & (BP_NOTE_TF32 | BP_NOTE_REDUCED_INPUTS | BP_NOTE_REDUCED_ACCUMULATION)) != 0) roundings *= 0x1p13;
  return roundings;
}

}  // namespace

Expected expected(const Case& c, const std::vector<std::vector<std::byte>>& values) {
  host::Registry& registry = host::Registry::instance();
  const bool small = c.cost().flops <= kReferenceFlops;
  const host::DevicePtr device = small ? registry.reference() : registry.open("cpu");
  const auto operands = std::make_shared<Operands>(device, c, values);
  Prepared(operands).launch();
  return {operands->outputs(), small ? "reference" : "cpu"};
}

Difference compare(const Case& c, const Expected& expected, const std::vector<std::vector<std::byte>>& outputs,
                   uint32_t notes) {
  const std::vector<Type> types = c.outputs();
  const double flops = c.cost().flops;
  Difference worst;
  for (size_t j = 0; j < types.size(); ++j) {
    const double terms = flops / static_cast<double>(std::max<int64_t>(types[j].elements(), 1));
    Difference d;
    if (types[j].dtype == DType::f32) {
      d.error = largest_difference<float>(outputs[j], expected.outputs[j]);
      d.allowed = 0x1p-24 * (roundings_of(notes) + 6 * std::sqrt(terms));
    } else {
      d.error = outputs[j] == expected.outputs[j] ? 0 : INFINITY;
    }
    if (j == 0 || d.error - d.allowed > worst.error - worst.allowed) worst = d;
  }
  return worst;
}

}  // namespace backplane::bench
