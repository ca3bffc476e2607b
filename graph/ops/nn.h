// SPDX-License-Identifier: Apache-2.0
// What the network ops share: computing half types in f32, sliding geometry of convolution and pooling, sample tensors.
// Private to graph/ops.
#pragma once

#include <array>
#include <limits>

#include "ops/common.h"

namespace backplane::graph {

/// The dtype in which sums of `dtype` are formed.
inline DType accumulator(DType dtype) { return is_half(dtype) ? DType::f32 : dtype; }
inline Sym widen(Sym x) { return cast(x, accumulator(x.dtype())); }

/// Equal, or not known yet.
inline bool same_extent(int64_t a, int64_t b) { return a == b || a == dyn || b == dyn; }
inline bool same_shape(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  for (int i = 0; i < a.rank(); ++i) {
    if (!same_extent(a[i], b[i])) return false;
  }
  return true;
}

/// Refuses operands [first, last) that are not floating point or not of one dtype.
inline void require_one_float_dtype(const InferArgs& args, size_t first, size_t last) {
  for (size_t i = first; i < std::min(last, args.in.size()); ++i) {
    if (!is_float(args.in[i].dtype)) args.fail("operand " + std::to_string(i) + " is not floating point", "cast() it first");
    if (args.in[i].dtype != args.in[first].dtype) args.fail("operands have different dtypes", "cast() them to one dtype");
  }
}

/// A filter or pooling window that slides over the axes 2 ... of x[N, C, spatial...].
struct Sliding {
  int rank = 0;  ///< number of spatial axes, 1 to 3
  std::array<int64_t, 3> size{}, stride{}, dilation{}, low{}, high{};

  /// Extent that one placement covers.
  int64_t reach(int i) const { return dilation[i] * (size[i] - 1) + 1; }
  int64_t padded(int i, int64_t extent) const { return extent + low[i] + high[i]; }
  /// Number of placements over `extent` elements; not positive when not even one fits.
  int64_t placements(int i, int64_t extent) const {
    const int64_t room = padded(i, extent) - reach(i);
    return room < 0 ? 0 : room / stride[i] + 1;
  }
  Ints axes() const;
  bool has_padding() const;
};

/// Reads stride, dilation, pad_low and pad_high. `stride_fallback` is used when none is given.
Sliding sliding_of(const Attrs& attrs, std::span<const int64_t> size, const std::array<int64_t, 3>& stride_fallback);
/// Refuses lists of a wrong length and values out of range, before sliding_of is called.
void check_sliding(const InferArgs& args, int spatial_rank, std::span<const int64_t> size);
/// Refuses a placement that does not fit and a crop of more than there is.
void check_fits(const InferArgs& args, const Sliding& s, const Shape& x);
/// The attributes of sliding ops: stride, dilation, pad_low, pad_high.
std::vector<AttrSpec> sliding_attrs(std::string_view stride_doc);

/// x with its spatial axes padded with `value` (negative padding crops), and the adjoint of the zero padding.
Sym pad_spatial(Sym x, const Sliding& s, double value);
Sym unpad_spatial(Sym x, const Sliding& s);
/// View [N, C, placements..., size...] of a padded x, and its adjoint for a padded x of `shape`.
Sym windows_of(Sym padded, const Sliding& s);
Sym sum_windows(Sym windows, const Sliding& s, const Shape& shape);

}  // namespace backplane::graph
