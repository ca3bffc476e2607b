// SPDX-License-Identifier: Apache-2.0
// The one table of tolerances, for every device alike: keyed by dtype, class of operation and reduction length.
//
// Two computations of one formula differ because each step rounds. A step of relative error at most k u, u the unit
// roundoff of the dtype, adds k roundings; a sum of n terms adds n in the dtype it accumulates in, whatever its order
// (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002, lemma 3.1 and section 4.2). N roundings give
// gamma_N = N u / (1 - N u), relative to the magnitude of what is computed. What is computed exactly is compared
// exactly.
#pragma once

#include <cstdint>

#include "backplane/graph/types.h"

namespace backplane::test {

enum class OpClass {
  exact,           ///< moves, selects, compares, negates; all integer arithmetic
  arithmetic,      ///< + - *: one correct rounding
  division,        ///< / sqrt rsqrt: 3 ulp is what OpenCL 3.0 (7.4) and Vulkan (precision of SPIR-V) allow
  transcendental,  ///< exp log sin tanh erf pow ...: 16 ulp, the most that OpenCL 3.0 (7.4) allows for pow and erf
  accumulation,    ///< sums and products of `length` terms
};

/// Largest relative error of one rounding to nearest.
inline double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-53;
    case DType::f32:
      return 0x1p-24;
    case DType::f16:
      return 0x1p-11;
    case DType::bf16:
      return 0x1p-8;
    default:
      return 0;  // integers and bool: exact
  }
}

/// The dtype that sums are formed in.
inline DType accumulator(DType dtype) { return is_half(dtype) ? f32 : dtype; }

/// Smallest positive number that keeps its full precision: below, errors are absolute. Devices may flush f32 to zero.
inline double smallest_normal(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-1022;
    case DType::f16:
      return 0x1p-14;
    default:
      return 0x1p-126;
  }
}

inline double gamma(double roundings, DType dtype) {
  const double nu = roundings * unit_roundoff(dtype);
  return nu < 0.5 ? nu / (1 - nu) : 1;
}

/// Relative error that one step adds. Halves are storage: a step computes in f32 and rounds once.
inline double step_error(DType dtype, OpClass op, int64_t length = 1) {
  const double storage = is_half(dtype) ? unit_roundoff(dtype) : 0;
  switch (op) {
    case OpClass::exact:
      return 0;
    case OpClass::arithmetic:
      return gamma(1, accumulator(dtype)) + storage;
    case OpClass::division:
      return gamma(6, accumulator(dtype)) + storage;  // 1 ulp is up to 2 u
    case OpClass::transcendental:
      return gamma(32, accumulator(dtype)) + storage;
    case OpClass::accumulation:
      return gamma(static_cast<double>(length), accumulator(dtype)) + storage;
  }
  return 0;
}

/// Errors of several steps add up only to first order and grow where a later step magnifies them; both sides err.
inline constexpr double kSafety = 4;

/// Largest difference of two results whose steps add up to the relative error `error`, of values up to `magnitude`.
inline double tolerance(double error, double magnitude, DType dtype) {
  return error == 0 ? 0 : kSafety * (error * magnitude + smallest_normal(dtype));
}

}  // namespace backplane::test
