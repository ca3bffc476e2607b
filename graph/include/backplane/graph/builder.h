// SPDX-License-Identifier: Apache-2.0
// Sym and Builder: how op definitions are written once and used in every mode.
//
// A decomposition or VJP computes with Syms. Applying an op to Syms asks their Builder: the graph's appends a node, the
// eager one launches a kernel, the tape one records and passes on. Op definitions cannot tell the difference.
#pragma once

#include <span>
#include <vector>

#include "backplane/graph/attrs.h"
#include "backplane/graph/types.h"

namespace backplane::graph {

struct OpDef;
class Builder;

/// A value known to a Builder. Cheap to copy; valid as long as the Builder.
struct Sym {
  Builder* builder = nullptr;
  uint32_t id = 0;
  uint32_t out = 0;

  explicit operator bool() const { return builder != nullptr; }
  friend bool operator==(const Sym& a, const Sym& b) = default;
  const Type& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int rank() const { return type().shape.rank(); }
};

class Builder {
 public:
  virtual ~Builder() = default;
  /// Applies an op whose attributes are complete; returns its outputs. Throws Error on operands that do not fit.
  virtual std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) = 0;
  /// A tensor with the given dense bytes.
  virtual Sym constant(const Type& type, std::vector<std::byte> bytes) = 0;
  virtual const Type& type_of(Sym sym) const = 0;

  /// The user's line that nodes made from now on belong to.
  SourceLoc loc;
};

inline const Type& Sym::type() const { return builder->type_of(*this); }

/// Applies `op` with attributes given by name; all inputs share one builder, which `inputs` must name (at least one).
std::vector<Sym> apply(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<Sym> inputs);
std::vector<Sym> apply(const OpDef& op, std::span<const AttrArg> attrs, std::span<const Sym> inputs);
/// The same for an op with one output.
Sym apply1(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<Sym> inputs);
/// For ops without inputs.
Sym source(Builder& builder, const OpDef& op, std::initializer_list<AttrArg> attrs);

}  // namespace backplane::graph
