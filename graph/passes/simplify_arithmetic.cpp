// SPDX-License-Identifier: Apache-2.0
// Laws of numbers. Floats: only what holds for every value, NaN, infinities and the sign of zero included, so x * 0,
// x - x, exp(log x) and reassociation are not here; x + 0 is, where x cannot be -0. Integers wrap, so their laws are
// those of a ring.
#include <cmath>

#include "passes/simplify_rules.h"

namespace backplane::graph::passes {

namespace {

const Type kF32{f32, {3, 5}}, kF64{f64, {3, 5}}, kF16{f16, {3, 5}};
const Type kI32{i32, {3, 5}}, kI64{i64, {3, 5}}, kBool{boolean, {3, 5}};
const Type kRow{f32, {5}}, kPlane{f32, {3, 1}}, kMany{f32, {5000}}, kMany64{f64, {5000}};

using Xs = std::span<const Sym>;

Sym num(Sym like, double value) { return scalar(*like.builder, value, like.dtype()); }
Sym abs(Sym x) { return unary(op::abs, x); }

/// The result is a float that is never -0, whatever the operands.
bool never_negative_zero(const At& at, Sym x, int depth = 2) {
  if (at.made_by(x, op::exp) || at.made_by(x, op::abs)) return true;
  if (const auto c = at.made_by(x, op::cast)) return !is_real(c->in(0).dtype());
  if (const auto m = at.made_by(x, op::mul)) return m->in(0) == m->in(1);
  if (const auto s = at.splat(x)) return !(s->real == 0 && std::signbit(s->real));
  if (const auto a = at.made_by(x, op::add); a && depth > 0) {  // -0 only as -0 + -0
    return never_negative_zero(at, a->in(0), depth - 1) || never_negative_zero(at, a->in(1), depth - 1);
  }
  return false;
}

Rewrite add_zero(const At& at) {
  for (size_t i = 0; i < 2; ++i) {
    const Sym x = at.in(1 - i), zero = at.in(i);
    if (at.is(zero, -0.0)) return x;
    if (at.is(zero, 0.0) && (!is_float(x.dtype()) || never_negative_zero(at, x))) return x;
  }
  return std::nullopt;
}

/// The operand whose partner is the number `value`; both orders for a commutative op.
template <int Percent>
Rewrite other_of(const At& at) {
  constexpr double value = Percent / 100.0;
  if (at.is(at.in(1), value)) return at.in(0);
  if (at.arity() == 2 && at.is(at.in(0), value)) return at.in(1);
  return std::nullopt;
}

Rewrite first_if_second_is_zero(const At& at) { return at.is(at.in(1), 0.0) ? Rewrite(at.in(0)) : std::nullopt; }
Rewrite first_if_second_is_one(const At& at) { return at.is(at.in(1), 1.0) ? Rewrite(at.in(0)) : std::nullopt; }
Rewrite same_operands(const At& at) { return at.in(0) == at.in(1) ? Rewrite(at.in(0)) : std::nullopt; }

Rewrite negate(const At& at) {
  for (size_t i = 0; i < 2; ++i) {
    if (at.is(at.in(i), -1.0)) return -at.in(1 - i);
  }
  return std::nullopt;
}

Rewrite divide_by_power_of_two(const At& at) {
  const auto by = at.splat(at.in(1));
  if (!by || !is_float(by->dtype)) return std::nullopt;
  int exponent = 0;
  const double mantissa = std::frexp(by->real, &exponent);
  if (std::abs(mantissa) != 0.5 || exponent < -12 || exponent > 14) return std::nullopt;  // both normal in f16
  return at.in(0) * num(at.in(0), 1.0 / by->real);
}

Rewrite undo(const At& at, const OpDef& inner) {
  const auto made = at.made_by(at.in(0), inner);
  return made ? Rewrite(made->in(0)) : std::nullopt;
}

Rewrite add_negated(const At& at) {
  if (const auto n = at.made_by(at.in(1), op::neg)) return at.in(0) - n->in(0);
  if (const auto n = at.made_by(at.in(0), op::neg)) return at.in(1) - n->in(0);
  return std::nullopt;
}

Rewrite subtract_negated(const At& at) {
  const auto n = at.made_by(at.in(1), op::neg);
  return n ? Rewrite(at.in(0) + n->in(0)) : std::nullopt;
}

Rewrite multiply_negated(const At& at) {
  const auto a = at.made_by(at.in(0), op::neg), b = at.made_by(at.in(1), op::neg);
  return a && b ? Rewrite(a->in(0) * b->in(0)) : std::nullopt;
}

Rewrite integer_zero(const At& at) {
  if (is_float(at.type().dtype)) return std::nullopt;
  return at.is(at.in(0), 0) || at.is(at.in(1), 0) ? Rewrite(at.number(0)) : std::nullopt;
}

Rewrite self_cancels(const At& at) {
  if (is_float(at.type().dtype)) return std::nullopt;
  return at.in(0) == at.in(1) ? Rewrite(at.number(0)) : std::nullopt;
}

/// All bits set: the neutral element of `and`.
double ones(DType dtype) { return dtype == boolean ? 1 : -1; }

Rewrite and_constant(const At& at) {
  for (size_t i = 0; i < 2; ++i) {
    if (at.is(at.in(i), ones(at.type().dtype))) return at.in(1 - i);
    if (at.is(at.in(i), 0)) return at.number(0);
  }
  return std::nullopt;
}

Rewrite or_constant(const At& at) {
  for (size_t i = 0; i < 2; ++i) {
    if (at.is(at.in(i), 0)) return at.in(1 - i);
    if (at.is(at.in(i), ones(at.type().dtype))) return at.number(ones(at.type().dtype));
  }
  return std::nullopt;
}

Rewrite not_comparison(const At& at) {
  if (const auto c = at.made_by(at.in(0), op::eq)) return binary(op::ne, c->in(0), c->in(1));
  if (const auto c = at.made_by(at.in(0), op::ne)) return binary(op::eq, c->in(0), c->in(1));
  if (const auto c = at.made_by(at.in(0), op::lt); c && !is_float(c->in(0).dtype())) {
    return binary(op::le, c->in(1), c->in(0));
  }
  if (const auto c = at.made_by(at.in(0), op::le); c && !is_float(c->in(0).dtype())) {
    return binary(op::lt, c->in(1), c->in(0));
  }
  return std::nullopt;
}

Rewrite where_known(const At& at) {
  const auto condition = at.splat(at.in(0));
  return condition ? Rewrite(at.in(condition->integer != 0 ? 1 : 2)) : std::nullopt;
}

Rewrite where_not(const At& at) {
  const auto n = at.made_by(at.in(0), op::logical_not);
  return n ? Rewrite(where(n->in(0), at.in(2), at.in(1))) : std::nullopt;
}

/// Every value of `from` is a value of `via`.
bool holds_all(DType via, DType from) {
  if (via == from || from == boolean) return true;
  switch (from) {
    case DType::f8_e4m3:
    case DType::f8_e5m2: return is_half(via) || via == f32 || via == f64;
    case DType::f16:
    case DType::bf16: return via == f32 || via == f64;
    case DType::f32: return via == f64;
    case DType::i32: return via == i64 || via == f64;
    default: return false;
  }
}

/// Half and 8-bit results of what is no float itself may be rounded twice on the one way and once on the other: left alone.
Rewrite cast_of_cast(const At& at) {
  const auto inner = at.made_by(at.in(0), op::cast);
  if (!inner) return std::nullopt;
  const Sym x = inner->in(0);
  const DType to = at.type().dtype;
  if (!holds_all(at.in(0).dtype(), x.dtype()) || ((is_half(to) || is_f8(to)) && !is_real(x.dtype()) && x.dtype() != boolean)) {
    return std::nullopt;
  }
  return cast(x, to);
}

}  // namespace

std::span<const SimplifyRule> arithmetic_rules() {
  static const std::vector<SimplifyRule> rules = {
      {"x + 0 = x", {&op::add}, add_zero,
       {{{kF32}, [](Xs x) { return exp(x[0]) + 0.0; }},
        {{kF32}, [](Xs x) { return x[0] + -0.0; }},
        {{kF64}, [](Xs x) { return num(x[0], 0) + x[0] * x[0]; }},
        {{kRow}, [](Xs x) { return abs(x[0]) + full(*x[0].builder, 0, f32, {3, 5}); }},
        {{kI32}, [](Xs x) { return num(x[0], 0) + x[0]; }}}},
      {"x - 0 = x", {&op::sub}, first_if_second_is_zero,
       {{{kF32}, [](Xs x) { return x[0] - 0.0; }}, {{kI64}, [](Xs x) { return x[0] - 0.0; }}}},
      {"x * 1 = x", {&op::mul}, other_of<100>,
       {{{kF32}, [](Xs x) { return x[0] * 1.0; }},
        {{kF16}, [](Xs x) { return 1.0 * x[0]; }},
        {{kPlane}, [](Xs x) { return x[0] * full(*x[0].builder, 1, f32, {3, 5}); }},
        {{kI32}, [](Xs x) { return x[0] * 1.0; }}}},
      {"x * -1 = -x", {&op::mul}, negate,
       {{{kF32}, [](Xs x) { return x[0] * -1.0; }}, {{kI32}, [](Xs x) { return -1.0 * x[0]; }}}},
      {"x * 0 = 0 (integers)", {&op::mul}, integer_zero, {{{kI32}, [](Xs x) { return x[0] * 0.0; }}}},
      {"-x * -y = x * y", {&op::mul}, multiply_negated, {{{kF32, kRow}, [](Xs x) { return -x[0] * -x[1]; }}}},
      {"x / 1 = x", {&op::div}, first_if_second_is_one,
       {{{kF32}, [](Xs x) { return x[0] / 1.0; }}, {{kI64}, [](Xs x) { return x[0] / 1.0; }}}},
      {"x / 2^k = x * 2^-k", {&op::div}, divide_by_power_of_two,
       {{{kF32}, [](Xs x) { return x[0] / 4.0; }},
        {{kF64}, [](Xs x) { return x[0] / -0.125; }},
        {{kF16}, [](Xs x) { return x[0] / 2.0; }}}},
      {"-(-x) = x", {&op::neg}, [](const At& at) { return undo(at, op::neg); },
       {{{kF32}, [](Xs x) { return -(-x[0]); }}, {{kI32}, [](Xs x) { return -(-x[0]); }}}},
      {"x + -y = x - y", {&op::add}, add_negated,
       {{{kF32, kRow}, [](Xs x) { return x[0] + -x[1]; }}, {{kRow, kPlane}, [](Xs x) { return -x[0] + x[1]; }}}},
      {"x - -y = x + y", {&op::sub}, subtract_negated,
       {{{kF32, kRow}, [](Xs x) { return x[0] - -x[1]; }}, {{kI32, kI32}, [](Xs x) { return x[0] - -x[1]; }}}},
      {"x - x = 0 (integers)", {&op::sub, &op::bit_xor}, self_cancels,
       {{{kI32}, [](Xs x) { return x[0] - x[0]; }}, {{kBool}, [](Xs x) { return binary(op::bit_xor, x[0], x[0]); }}}},
      {"|-x| = |x|", {&op::abs},
       [](const At& at) -> Rewrite {
         const auto n = at.made_by(at.in(0), op::neg);
         return n ? Rewrite(abs(n->in(0))) : std::nullopt;
       },
       {{{kF32}, [](Xs x) { return abs(-x[0]); }}, {{kI32}, [](Xs x) { return abs(-x[0]); }}}},
      {"f(f(x)) = f(x)", {&op::abs, &op::floor, &op::ceil},
       [](const At& at) -> Rewrite {
         const OpDef& op = *at.graph().node(at.self().id).op;
         return at.made_by(at.in(0), op) ? Rewrite(at.in(0)) : std::nullopt;
       },
       {{{kF32}, [](Xs x) { return abs(abs(x[0])); }},
        {{kF32}, [](Xs x) { return unary(op::floor, unary(op::floor, x[0])); }},
        {{kF64}, [](Xs x) { return unary(op::ceil, unary(op::ceil, x[0])); }}}},
      {"f(x, x) = x", {&op::maximum, &op::minimum, &op::bit_and, &op::bit_or}, same_operands,
       {{{kF32}, [](Xs x) { return maximum(x[0], x[0]); }},
        {{kBool}, [](Xs x) { return binary(op::bit_and, x[0], x[0]); }},
        {{kI32}, [](Xs x) { return binary(op::bit_or, x[0], x[0]); }}}},
      {"x & all = x, x & 0 = 0", {&op::bit_and}, and_constant,
       {{{kBool}, [](Xs x) { return binary(op::bit_and, x[0], num(x[0], 1)); }},
        {{kI32}, [](Xs x) { return binary(op::bit_and, num(x[0], -1), x[0]); }},
        {{kI64}, [](Xs x) { return binary(op::bit_and, x[0], num(x[0], 0)); }}}},
      {"x | 0 = x, x | all = all", {&op::bit_or}, or_constant,
       {{{kBool}, [](Xs x) { return binary(op::bit_or, x[0], num(x[0], 1)); }},
        {{kI32}, [](Xs x) { return binary(op::bit_or, x[0], num(x[0], 0)); }}}},
      {"x ^ 0 = x", {&op::bit_xor}, other_of<0>,
       {{{kI32}, [](Xs x) { return binary(op::bit_xor, x[0], num(x[0], 0)); }}}},
      {"x << 0 = x", {&op::shift_left, &op::shift_right}, first_if_second_is_zero,
       {{{kI32}, [](Xs x) { return binary(op::shift_left, x[0], num(x[0], 0)); }},
        {{kI64}, [](Xs x) { return binary(op::shift_right, x[0], num(x[0], 0)); }}}},
      {"!!x = x", {&op::logical_not}, [](const At& at) { return undo(at, op::logical_not); },
       {{{kBool}, [](Xs x) { return unary(op::logical_not, unary(op::logical_not, x[0])); }}}},
      {"!(x == y) = (x != y)", {&op::logical_not}, not_comparison,
       {{{kF32, kRow}, [](Xs x) { return unary(op::logical_not, binary(op::eq, x[0], x[1])); }},
        {{kF32, kF32}, [](Xs x) { return unary(op::logical_not, binary(op::ne, x[0], x[1])); }},
        {{kI32, kI32}, [](Xs x) { return unary(op::logical_not, binary(op::lt, x[0], x[1])); }},
        {{kI64, kI64}, [](Xs x) { return unary(op::logical_not, binary(op::le, x[0], x[1])); }}}},
      {"x ^ 1 = x (power)", {&op::pow}, first_if_second_is_one,
       {{{kMany}, [](Xs x) { return binary(op::pow, x[0], num(x[0], 1)); }}}},
      {"x ^ 2 = x * x (power)", {&op::pow},
       [](const At& at) { return at.is(at.in(1), 2.0) ? Rewrite(at.in(0) * at.in(0)) : std::nullopt; },
       {{{kMany}, [](Xs x) { return binary(op::pow, x[0], num(x[0], 2)); }},
        {{kMany64}, [](Xs x) { return binary(op::pow, x[0], num(x[0], 2)); }}},
       1},
      {"x ^ 0 = 1 (power)", {&op::pow},
       [](const At& at) { return at.is(at.in(1), 0.0) || at.is(at.in(1), -0.0) ? Rewrite(at.number(1)) : std::nullopt; },
       {{{kF32}, [](Xs x) { return binary(op::pow, x[0], num(x[0], 0)); }}}},
      {"where(c, x, x) = x", {&op::where},
       [](const At& at) { return at.in(1) == at.in(2) ? Rewrite(at.in(1)) : std::nullopt; },
       {{{kBool, kF32}, [](Xs x) { return where(x[0], x[1], x[1]); }},
        {{kBool, kRow}, [](Xs x) { return where(x[0], x[1], x[1]); }}}},
      {"where(true, x, y) = x", {&op::where}, where_known,
       {{{kF32, kRow}, [](Xs x) { return where(scalar(*x[0].builder, 1, boolean), x[1], x[0]); }},
        {{kF32, kF32}, [](Xs x) { return where(scalar(*x[0].builder, 0, boolean), x[1], x[0]); }}}},
      {"where(!c, x, y) = where(c, y, x)", {&op::where}, where_not,
       {{{kBool, kF32, kF32}, [](Xs x) { return where(unary(op::logical_not, x[0]), x[1], x[2]); }}}},
      {"a cast to the same dtype", {&op::cast},
       [](const At& at) { return at.in(0).dtype() == at.type().dtype ? Rewrite(at.in(0)) : std::nullopt; },
       {{{kF32}, [](Xs x) { return apply1(op::cast, {{"dtype", f32}}, {x[0]}); }}}},
      {"a cast of a cast that loses nothing", {&op::cast}, cast_of_cast,
       {{{kF32}, [](Xs x) { return cast(cast(x[0], f64), i32); }},
        {{kF16}, [](Xs x) { return cast(cast(x[0], f32), f16); }},
        {{kF16}, [](Xs x) { return cast(cast(x[0], f32), f64); }},
        {{kBool}, [](Xs x) { return cast(cast(x[0], i32), f32); }},
        {{kI32}, [](Xs x) { return cast(cast(x[0], f64), i64); }}}},
  };
  return rules;
}

}  // namespace backplane::graph::passes
