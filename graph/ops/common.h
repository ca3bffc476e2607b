// SPDX-License-Identifier: Apache-2.0
// What op definitions share: dtype classes for inference, sample operands, small shape arithmetic. Private to
// graph/ops.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "backplane/graph/ops.h"

namespace backplane::graph {

using Ints = std::vector<int64_t>;

/// Which dtypes an op takes.
enum class Kinds : uint8_t { floats, numeric, computed, any, logical, integers };

inline bool accepts(Kinds kinds, DType d) {
  switch (kinds) {
    case Kinds::floats:
      return is_float(d);
    case Kinds::numeric:
      return is_float(d) || is_integer(d);
    case Kinds::computed:
      return !is_f8(d);
    case Kinds::any:
      return true;
    case Kinds::logical:
      return d == boolean || is_integer(d);
    case Kinds::integers:
      return is_integer(d);
  }
  return false;
}

inline std::string_view describe(Kinds kinds) {
  switch (kinds) {
    case Kinds::floats:
      return "a float dtype";
    case Kinds::numeric:
      return "a float or integer dtype";
    case Kinds::computed:
      return "any dtype but the 8-bit floats";
    case Kinds::any:
      return "any dtype";
    case Kinds::logical:
      return "bool or an integer dtype";
    case Kinds::integers:
      return "an integer dtype";
  }
  return "";
}

inline void require_kind(const InferArgs& args, Kinds kinds, size_t operand = 0) {
  const DType d = args.in[operand].dtype;
  if (accepts(kinds, d)) return;
  args.fail("operand " + std::to_string(operand) + " has dtype " + std::string(name_of(d)) + ", wanted is " +
                std::string(describe(kinds)),
            "cast it first");
}

inline void require_same_dtype(const InferArgs& args, size_t a, size_t b) {
  if (args.in[a].dtype == args.in[b].dtype) return;
  args.fail("operands " + std::to_string(a) + " and " + std::to_string(b) + " have different dtypes",
            "cast one of them to the other's dtype");
}

inline void require_index_dtype(const InferArgs& args, size_t operand) {
  if (!is_integer(args.in[operand].dtype)) args.fail("indices must be i32 or i64", "cast them to i32");
}

/// Shape without the axes in `axes`, or with extent 1 there.
inline Shape reduced_shape(const Shape& shape, std::span<const int64_t> axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!reduced) out.push_back(shape[i]);
    if (reduced && keepdims) out.push_back(1);
  }
  return out;
}

/// Product of the extents first ... last - 1; 1 when there are none.
inline int64_t product(const Shape& shape, int first, int last) {
  int64_t n = 1;
  for (int i = first; i < last; ++i) n *= shape[i];
  return n;
}

/// Output type of a one-input op that changes neither dtype nor shape.
template <Kinds K>
std::vector<Type> infer_same(const InferArgs& args) {
  require_kind(args, K);
  return {args.in[0]};
}

// Samples -------------------------------------------------------------------------------------------------------------

inline SampleInput sample(Shape shape, double low = -2, double high = 2, DType dtype = f32) {
  return {{dtype, shape}, low, high};
}

/// Shapes that find mistakes in elementwise code: normal, odd, extent 1, empty, scalar, rank 4.
template <double Low, double High>
std::vector<Sample> unary_samples() {
  return {{{sample({4, 8}, Low, High)}, {}},    {{sample({3, 7}, Low, High)}, {}},
          {{sample({1, 5, 1}, Low, High)}, {}}, {{sample({0, 3}, Low, High)}, {}},
          {{sample({}, Low, High)}, {}},        {{sample({2, 3, 2, 5}, Low, High)}, {}}};
}

}  // namespace backplane::graph
