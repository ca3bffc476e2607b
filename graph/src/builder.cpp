// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/builder.h"

#include "backplane/graph/op_def.h"

namespace backplane::graph {

std::vector<Sym> apply(const OpDef& op, std::span<const AttrArg> attrs, std::span<const Sym> inputs) {
  if (inputs.empty()) fail_internal("apply() of '" + std::string(op.name) + "' without inputs; use source()");
  return inputs.front().builder->apply(op, Attrs(op.name, op.attrs, attrs), inputs);
}

std::vector<Sym> apply(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<Sym> inputs) {
  return apply(op, std::span(attrs.begin(), attrs.size()), std::span(inputs.begin(), inputs.size()));
}

Sym apply1(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<Sym> inputs) {
  return apply(op, attrs, inputs).front();
}

Sym source(Builder& builder, const OpDef& op, std::initializer_list<AttrArg> attrs) {
  return builder.apply(op, Attrs(op.name, op.attrs, std::span(attrs.begin(), attrs.size())), {}).front();
}

}  // namespace backplane::graph
