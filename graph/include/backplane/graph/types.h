// SPDX-License-Identifier: Apache-2.0
// dtype, shape, type, place in the user's source, and the exception every user error becomes.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/plugin.h"

namespace backplane {

enum class DType : uint8_t {
  f32 = BP_F32,
  f64 = BP_F64,
  f16 = BP_F16,
  bf16 = BP_BF16,
  i32 = BP_I32,
  i64 = BP_I64,
  boolean = BP_BOOL,
  f8_e4m3 = BP_F8_E4M3,
  f8_e5m2 = BP_F8_E5M2,
};
inline constexpr DType f32 = DType::f32;
inline constexpr DType f64 = DType::f64;
inline constexpr DType f16 = DType::f16;
inline constexpr DType bf16 = DType::bf16;
inline constexpr DType i32 = DType::i32;
inline constexpr DType i64 = DType::i64;
inline constexpr DType boolean = DType::boolean;
inline constexpr DType f8_e4m3 = DType::f8_e4m3;
inline constexpr DType f8_e5m2 = DType::f8_e5m2;
inline constexpr std::array<DType, 9> kAllDTypes = {f32, f64, f16, bf16, i32, i64, boolean, f8_e4m3, f8_e5m2};

/// Bytes of one element.
int64_t size_of(DType dtype);
/// "f32", "bool", ...
std::string_view name_of(DType dtype);
/// Inverse of name_of; throws std::invalid_argument naming the dtypes there are.
DType dtype_from_name(std::string_view name);
inline bool is_float(DType d) { return d <= DType::bf16; }
inline bool is_half(DType d) { return d == DType::f16 || d == DType::bf16; }
inline bool is_integer(DType d) { return d == DType::i32 || d == DType::i64; }
/// The 8-bit floats are for storage and matrix products; arithmetic does not take them, so they are no `is_float`.
inline bool is_f8(DType d) { return d == DType::f8_e4m3 || d == DType::f8_e5m2; }
/// Holds real numbers, to compute with or to store.
inline bool is_real(DType d) { return is_float(d) || is_f8(d); }
/// The dtype of an elementwise result: bool < i32 < i64 < f8_e4m3, f8_e5m2 < f16, bf16 < f32 < f64; two dtypes of one
/// place in this order give f32.
DType promote(DType a, DType b);
/// The dtype that gradients of such values have: their own, f32 for 8-bit floats.
inline DType gradient_dtype(DType d) { return is_f8(d) ? DType::f32 : d; }

inline constexpr int kMaxRank = BP_MAX_RANK;
/// Extent that a symbolic graph does not know yet; only allowed for the leading dimension.
inline constexpr int64_t dyn = -1;

/// Extents of a tensor, rank 0 to 8, without allocation.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const int64_t> extents);
  explicit Shape(const std::vector<int64_t>& extents) : Shape(std::span<const int64_t>(extents)) {}

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  int64_t& operator[](int axis) { return extents_[static_cast<size_t>(axis)]; }
  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + rank_; }
  std::span<const int64_t> span() const { return {extents_.data(), static_cast<size_t>(rank_)}; }
  std::vector<int64_t> vector() const { return {begin(), end()}; }
  /// Number of elements; 1 for a scalar. Undefined for a shape with an unknown extent.
  int64_t elements() const;
  bool is_dynamic() const;
  void push_back(int64_t extent);
  std::string to_string() const;  ///< "[32,784]"

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// Row-major strides in elements.
std::array<int64_t, kMaxRank> dense_strides(const Shape& shape);

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  int64_t elements() const { return shape.elements(); }
  int64_t bytes() const { return shape.elements() * size_of(dtype); }
  std::string to_string() const;  ///< "f32[32,784]"
  friend bool operator==(const Type& a, const Type& b) { return a.dtype == b.dtype && a.shape == b.shape; }
};

/// A tensor inside a buffer: elements away from its start, and strides in elements.
struct Layout {
  int64_t offset = 0;
  std::array<int64_t, kMaxRank> strides{};
  friend bool operator==(const Layout& a, const Layout& b) = default;
};
Layout dense_layout(const Shape& shape);
bool is_dense(const Shape& shape, const Layout& layout);
bp_tensor_desc to_desc(const Type& type, const Layout& layout);

/// Where in the user's program something was said.
struct SourceLoc {
  const char* file = nullptr;  ///< static storage
  uint32_t line = 0;
  std::string to_string() const;  ///< "train.cpp:41", or "" when unknown
};

/// Default argument `Here here = {}` makes a function record its caller's line.
struct Here {
  SourceLoc loc;
  Here(std::source_location at = std::source_location::current()) : loc{at.file_name(), at.line()} {}
  explicit Here(SourceLoc l) : loc(l) {}
};

/// The user said something that cannot be done. what() is "[op] what is wrong / operands / file:line / suggestion".
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Builds the text of an Error; every part but the first may be empty.
[[noreturn]] void fail(std::string_view op, std::string_view what, std::span<const Type> operands = {},
                       SourceLoc loc = {}, std::string_view suggestion = {});
/// A bug of ours: the text starts with "internal:".
[[noreturn]] void fail_internal(std::string_view what);

}  // namespace backplane
