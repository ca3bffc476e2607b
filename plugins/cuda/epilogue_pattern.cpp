// SPDX-License-Identifier: Apache-2.0
#include "epilogue_pattern.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include "backplane/sdk/program.hpp"

namespace backplane::cuda {
namespace {

using Value = uint32_t;
constexpr Value kNone = UINT32_MAX;

/// constant * value * value ...
struct Factors {
  double constant = 1;
  std::vector<Value> values;
};

/// A sum of the product and inputs, each with a factor and each at most once.
struct Terms {
  std::optional<double> product;
  std::vector<Value> scales;  ///< of the product
  std::vector<EpiloguePattern::Addend> inputs;
};

class Reader {
 public:
  Reader(const bp_program& program, const std::vector<uint32_t>& dtypes)
      : program_(program), dtypes_(dtypes), working_(dtypes[0]) {}

  std::optional<EpiloguePattern> read() const {
    Value out = program_.outputs[0];
    if (const bp_instr* last = at(out, BP_S_CAST); last != nullptr && last->dtype != working_) out = last->a;
    if (dtype(out) != working_) return std::nullopt;
    EpiloguePattern found;
    Value inside = out;
    if (const auto x = under_relu(out)) {
      found.activation = Activation::relu, inside = *x;
    } else if (const auto y = under_gelu(out)) {
      found.activation = Activation::gelu_tanh, inside = *y;
    }
    Terms terms;
    if (!add_terms(inside, 1, terms) || !terms.product) return std::nullopt;
    found.alpha = *terms.product;
    found.scales = std::move(terms.scales);
    found.addends = std::move(terms.inputs);
    return found;
  }

 private:
  const bp_instr* instr(Value v) const {
    return v < program_.num_inputs ? nullptr : &program_.instrs[v - program_.num_inputs];
  }
  /// The instruction that defines `v`, if it is of that code.
  const bp_instr* at(Value v, uint16_t code) const {
    const bp_instr* i = instr(v);
    return i != nullptr && i->code == code ? i : nullptr;
  }
  uint32_t dtype(Value v) const { return v < program_.num_inputs ? dtypes_[v] : instr(v)->dtype; }
  std::optional<double> constant(Value v) const {
    const bp_instr* i = at(v, BP_S_CONST);
    return i != nullptr && sdk::is_float(i->dtype) ? std::optional(i->imm.f) : std::nullopt;
  }
  bool is(Value v, double wanted) const {
    const auto c = constant(v);
    return c && same(*c, wanted);
  }
  /// Programs in f32 round their constants to it.
  bool same(double a, double b) const {
    return working_ == BP_F64 ? a == b : static_cast<float>(a) == static_cast<float>(b);
  }

  std::optional<Value> under_relu(Value v) const {
    const bp_instr* max = at(v, BP_S_MAX);
    if (max == nullptr) return std::nullopt;
    if (is(max->b, 0)) return max->a;
    if (is(max->a, 0)) return max->b;
    return std::nullopt;
  }

  /// Everything that is multiplied to `v`, down to `stop`.
  void factors(Value v, Value stop, Factors& into) const {
    const bp_instr* product = v == stop ? nullptr : at(v, BP_S_MUL);
    if (product != nullptr) {
      factors(product->a, stop, into), factors(product->b, stop, into);
    } else if (const auto c = constant(v); c && v != stop) {
      into.constant *= *c;
    } else {
      into.values.push_back(v);
    }
  }
  Factors factors(Value v, Value stop) const {
    Factors all;
    factors(v, stop, all);
    return all;
  }

  /// x of `v` = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (Hendrycks, Gimpel, "Gaussian error linear units", 2016).
  std::optional<Value> under_gelu(Value v) const {
    for (Value x = 0; x < v; ++x) {
      const Factors outer = factors(v, x);
      if (outer.values.size() != 2 || !same(outer.constant, 0.5)) continue;
      if (outer.values[0] == x && is_one_plus_tanh(outer.values[1], x)) return x;
      if (outer.values[1] == x && is_one_plus_tanh(outer.values[0], x)) return x;
    }
    return std::nullopt;
  }
  bool is_one_plus_tanh(Value v, Value x) const {
    const bp_instr* sum = at(v, BP_S_ADD);
    if (sum == nullptr) return false;
    const bp_instr* tanh = at(is(sum->a, 1) ? sum->b : sum->a, BP_S_TANH);
    if (tanh == nullptr || !(is(sum->a, 1) || is(sum->b, 1))) return false;
    const Factors angle = factors(tanh->a, x);
    constexpr double kScale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    if (angle.values.size() != 1 || !same(angle.constant, kScale)) return false;
    const bp_instr* inner = at(angle.values[0], BP_S_ADD);
    if (inner == nullptr || (inner->a != x && inner->b != x)) return false;
    const Factors cube = factors(inner->a == x ? inner->b : inner->a, x);
    return same(cube.constant, 0.044715) && cube.values == std::vector<Value>{x, x, x};
  }

  bool add_terms(Value v, double factor, Terms& into) const {
    if (v == 0) return !std::exchange(into.product, factor).has_value();
    if (v < program_.num_inputs) return add_input(v, factor, into);
    const bp_instr& i = *instr(v);
    switch (i.code) {
      case BP_S_ADD: return add_terms(i.a, factor, into) && add_terms(i.b, factor, into);
      case BP_S_SUB: return add_terms(i.a, factor, into) && add_terms(i.b, -factor, into);
      case BP_S_NEG: return add_terms(i.a, -factor, into);
      case BP_S_MUL:
        if (const auto c = constant(i.b)) return add_terms(i.a, factor * *c, into);
        if (const auto c = constant(i.a)) return add_terms(i.b, factor * *c, into);
        return add_scaled_product(factors(v, kNone), factor, into);
      case BP_S_CAST:  // of an input, to what is computed in
        return i.dtype == working_ && i.a != 0 && i.a < program_.num_inputs && add_input(i.a, factor, into);
    }
    return false;
  }
  bool add_scaled_product(const Factors& all, double factor, Terms& into) const {
    const auto is_scale = [&](Value v) { return v != 0 && v < program_.num_inputs && dtypes_[v] == working_; };
    for (const Value v : all.values) {
      if (is_scale(v)) into.scales.push_back(v);
    }
    const bool once = std::count(all.values.begin(), all.values.end(), Value{0}) == 1;
    if (!once || into.scales.size() + 1 != all.values.size()) return false;
    return !std::exchange(into.product, factor * all.constant).has_value();
  }
  bool add_input(Value v, double factor, Terms& into) const {
    const auto read = [&](const EpiloguePattern::Addend& each) { return each.input == v; };
    if (std::any_of(into.inputs.begin(), into.inputs.end(), read)) return false;
    into.inputs.push_back({v, factor});
    return true;
  }

  const bp_program& program_;
  const std::vector<uint32_t>& dtypes_;
  const uint32_t working_;
};

}  // namespace

std::optional<EpiloguePattern> recognise_epilogue(const bp_program& program, const std::vector<uint32_t>& input_dtypes) {
  return Reader(program, input_dtypes).read();
}

}  // namespace backplane::cuda
