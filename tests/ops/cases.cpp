// SPDX-License-Identifier: Apache-2.0
#include "ops/cases.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>

#include "backplane/graph/autodiff.h"
#include "backplane/graph/ops.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

/// The sample with the f32 operands in `mask` replaced, if inference takes it.
std::optional<Case> variant(const OpDef& op, size_t index, const Sample& sample, DType dtype, uint32_t mask) {
  Case c{&op, index, dtype, sample.inputs, Attrs(op.name, op.attrs, sample.attrs), {}, sample.gradcheck};
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if ((mask >> i & 1u) != 0) c.inputs[i].type.dtype = dtype;
  }
  try {
    c.out = infer_types(op, c.attrs, c.types(), {});
  } catch (const Error&) {
    if (dtype == f32) throw;  // as written, a sample has to be legal
    return std::nullopt;
  }
  return c;
}

/// As many operands as possible take `dtype`; the first f32 one has to.
std::optional<Case> best_variant(const OpDef& op, size_t index, const Sample& sample, DType dtype) {
  uint32_t all = 0;
  for (size_t i = 0; i < sample.inputs.size(); ++i) all |= sample.inputs[i].type.dtype == f32 ? 1u << i : 0;
  if (dtype == f32) return variant(op, index, sample, f32, 0);
  const uint32_t first = all & (0u - all);
  for (int left_out = 0; left_out < std::popcount(all); ++left_out) {
    for (uint32_t mask = all;; mask = (mask - 1) & all) {
      if (mask == 0) break;
      if ((mask & first) == 0 || std::popcount(mask) != std::popcount(all) - left_out) continue;
      if (auto c = variant(op, index, sample, dtype, mask)) return c;
    }
  }
  return std::nullopt;
}

}  // namespace

bool has_samples_by_rule(const OpDef& op) { return op.infer != nullptr && op.tier != Tier::deferred; }

std::string Case::name() const {
  std::string text =
      std::string(op->name) + ", sample " + std::to_string(sample) + ", " + std::string(name_of(dtype)) + ": (";
  for (size_t i = 0; i < inputs.size(); ++i) text += (i > 0 ? ", " : "") + inputs[i].type.to_string();
  return text + ") " + attrs.to_string();
}

std::vector<Type> Case::types() const {
  std::vector<Type> out;
  for (const SampleInput& input : inputs) out.push_back(input.type);
  return out;
}

std::vector<Literal> Case::values() const {
  std::vector<Literal> out;
  for (size_t i = 0; i < inputs.size(); ++i) out.push_back(random_literal(inputs[i], 1000 * sample + i + 1));
  return out;
}

bool Case::differentiable() const {
  const auto real = [](const auto& list, auto dtype_of) {
    return std::any_of(list.begin(), list.end(), [&](const auto& x) { return is_float(dtype_of(x)); });
  };
  return op->gradient == Gradient::flows && real(inputs, [](const SampleInput& i) { return i.type.dtype; }) &&
         real(out, [](const Type& t) { return t.dtype; });
}

std::vector<Case> all_cases(std::span<const DType> dtypes) {
  const char* only = std::getenv("BACKPLANE_TEST_OP");
  const char* share = std::getenv("BACKPLANE_TEST_ONE_CASE_IN");
  const unsigned long one_in = share != nullptr ? std::max(std::strtoul(share, nullptr, 10), 1ul) : 1;
  unsigned long number = 0;
  std::vector<Case> out;
  for (const OpDef* op : all_ops()) {
    if (op->samples == nullptr || (only != nullptr && op->name != only)) continue;
    const std::vector<Sample> samples = op->samples();
    for (size_t i = 0; i < samples.size(); ++i) {
      bool has_f32 = false;
      for (const SampleInput& input : samples[i].inputs) has_f32 = has_f32 || input.type.dtype == f32;
      for (const DType dtype : dtypes) {
        if (dtype != f32 && !has_f32) continue;
        const bool first = i == 0 && dtype == f32;
        if (!first && (number++ * 2654435761u >> 16) % one_in != 0) continue;  // spread without a pattern
        if (auto c = best_variant(*op, i, samples[i], dtype)) out.push_back(std::move(*c));
      }
    }
  }
  return out;
}

CaseGraph apply_case(const Case& c) {
  CaseGraph g{std::make_unique<Graph>(), {}, {}, c.values()};
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    g.in.push_back(
        g.graph->sym(g.graph->add_input(Input::Kind::placeholder, c.inputs[i].type, "x" + std::to_string(i))));
  }
  g.out = g.graph->apply(*c.op, c.attrs, g.in);
  std::vector<Value> outputs;
  for (const Sym& s : g.out) outputs.push_back(g.graph->value(s));
  g.graph->set_outputs(std::move(outputs));
  return g;
}

CaseGraph apply_case_strided(const Case& c) {
  CaseGraph g{std::make_unique<Graph>(), {}, {}, {}};
  std::vector<Sym> operands;
  for (const Literal& value : c.values()) {
    const Shape& shape = value.type.shape;
    const auto rank = static_cast<size_t>(shape.rank());
    std::vector<int64_t> stored(shape.begin(), shape.end()), axes(rank);
    std::reverse(stored.begin(), stored.end());
    for (size_t i = 0; i < rank; ++i) axes[i] = static_cast<int64_t>(rank - 1 - i);
    const Type type{value.type.dtype, Shape(stored)};
    const std::vector<double> from = to_doubles(value);
    std::vector<double> to(from.size());
    for (size_t flat = 0; flat < from.size(); ++flat) {  // axes reversed, then every axis backwards
      size_t rest = flat, at = 0, stride = 1;
      std::vector<size_t> index(rank);
      for (size_t axis = rank; axis-- > 0; rest /= static_cast<size_t>(shape[static_cast<int>(axis)])) {
        index[axis] = rest % static_cast<size_t>(shape[static_cast<int>(axis)]);
      }
      for (size_t axis = 0; axis < rank; ++axis) {  // the first axis is the last stored one
        const auto extent = static_cast<size_t>(shape[static_cast<int>(axis)]);
        at += (extent - 1 - index[axis]) * stride;
        stride *= extent;
      }
      to[at] = from[flat];
    }
    g.values.push_back(from_doubles(type, to));
    g.in.push_back(g.graph->sym(g.graph->add_input(Input::Kind::placeholder, type, "x")));
    operands.push_back(apply1(op::flip, {}, {graph::permute(g.in.back(), axes)}));
  }
  g.out = operands.empty() ? std::vector<Sym>{} : g.graph->apply(*c.op, c.attrs, operands);
  std::vector<Value> outputs;
  for (const Sym& s : g.out) outputs.push_back(g.graph->value(s));
  g.graph->set_outputs(std::move(outputs));
  return g;
}

CaseGraph vjp_case(const Case& c) {
  CaseGraph g = apply_case(c);
  std::vector<Sym> ys, dys, xs;
  for (const Sym& s : g.out) {
    if (!is_float(s.dtype())) continue;
    const Type type = s.type();
    ys.push_back(s);
    dys.push_back(g.graph->sym(g.graph->add_input(Input::Kind::placeholder, type, "dy" + std::to_string(dys.size()))));
    g.values.push_back(random_literal({type, -1, 1}, 77 + dys.size()));
  }
  for (const Sym& s : g.in) {
    if (is_float(s.dtype())) xs.push_back(s);
  }
  const auto tape = tape_of(*g.graph, static_cast<NodeId>(g.graph->size()));
  g.out.clear();
  std::vector<Value> outputs;
  for (const Sym& dx : gradients(*g.graph, tape, ys, xs, dys, true)) {
    if (!dx) continue;
    g.out.push_back(dx);
    outputs.push_back(g.graph->value(dx));
  }
  g.graph->set_outputs(std::move(outputs));
  return g;
}

}  // namespace backplane::test
