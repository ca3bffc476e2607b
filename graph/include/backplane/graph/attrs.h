// SPDX-License-Identifier: Apache-2.0
// Typed attributes of an operation. Values lie in one canonical array of words, in the order of the op's specification:
// equal attributes have equal words, which is what CSE, signatures and the text form rely on.
#pragma once

#include <bit>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backplane/graph/types.h"

namespace backplane::graph {

enum class AttrKind : uint8_t { integer, real, boolean, dtype, integers };

using AttrValue = std::variant<int64_t, double, bool, DType, std::vector<int64_t>>;

struct AttrSpec {
  std::string_view name;
  AttrKind kind = AttrKind::integer;
  AttrValue fallback;      ///< value when the caller gives none
  std::string_view doc;
  bool required = false;   ///< leaving it out is an error
};

/// "axis" = 1, given by a caller.
struct AttrArg {
  std::string_view name;
  AttrValue value;
};

class Attrs {
 public:
  Attrs() = default;
  /// Completes `args` with defaults. Throws Error on an unknown name, a wrong kind or a missing required attribute.
  Attrs(std::string_view op, std::span<const AttrSpec> specs, std::span<const AttrArg> args);

  int64_t i64(std::string_view name) const { return word(name, AttrKind::integer)[0]; }
  double f64(std::string_view name) const { return std::bit_cast<double>(word(name, AttrKind::real)[0]); }
  bool flag(std::string_view name) const { return word(name, AttrKind::boolean)[0] != 0; }
  DType dtype(std::string_view name) const { return static_cast<DType>(word(name, AttrKind::dtype)[0]); }
  std::span<const int64_t> ints(std::string_view name) const;

  std::span<const int64_t> words() const { return words_; }
  std::span<const AttrSpec> specs() const { return specs_; }
  /// The attributes as arguments again, for making changed ones.
  std::vector<AttrArg> args() const;
  /// "{axis=1, keepdims=true}", "" when there are none.
  std::string to_string() const;
  friend bool operator==(const Attrs& a, const Attrs& b) { return a.words_ == b.words_; }

 private:
  const int64_t* word(std::string_view name, AttrKind kind) const;
  std::span<const AttrSpec> specs_;
  std::vector<int64_t> words_;
};

}  // namespace backplane::graph
