// SPDX-License-Identifier: Apache-2.0
// Scalar ops of one operand: each is one instruction of a scalar program. A table of derivatives, then a table of ops.

#include <cmath>
#include <numbers>

#include "ops/common.h"

namespace backplane::graph {

namespace {

// dy/dx, from the saved values that the op's `saves` names.
void neg_vjp(VjpArgs& a) { a.dx[0] = -a.dy[0]; }
void abs_vjp(VjpArgs& a) {
  const Sym x = a.in[0], zero = scalar(a.builder, 0, x.dtype());
  a.dx[0] = where(binary(op::lt, zero, x), a.dy[0], where(binary(op::lt, x, zero), -a.dy[0], zero));
}
void exp_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * a.out[0]; }
void log_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] / a.in[0]; }
void sqrt_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * 0.5 / a.out[0]; }
void rsqrt_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * -0.5 * a.out[0] * a.out[0] * a.out[0]; }
void sin_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * unary(op::cos, a.in[0]); }
void cos_vjp(VjpArgs& a) { a.dx[0] = -(a.dy[0] * unary(op::sin, a.in[0])); }
void tanh_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * (1.0 - a.out[0] * a.out[0]); }
void erf_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * (2 * std::numbers::inv_sqrtpi) * exp(-(a.in[0] * a.in[0])); }
void expm1_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * (a.out[0] + 1.0); }
void log1p_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] / (a.in[0] + 1.0); }
void cast_vjp(VjpArgs& a) {
  if (is_real(a.in[0].dtype())) a.dx[0] = cast(a.dy[0], gradient_dtype(a.in[0].dtype()));
}

std::vector<Type> infer_cast(const InferArgs& args) { return {{args.attrs.dtype("dtype"), args.in[0].shape}}; }

std::vector<Sample> cast_samples() {
  const AttrArg to_i32{"dtype", i32}, to_f64{"dtype", f64}, to_bool{"dtype", boolean}, to_f32{"dtype", f32};
  return {{{sample({3, 5})}, {to_f64}},
          {{sample({2, 3}, -5, 5)}, {to_i32}},
          {{sample({7}, -1, 1)}, {to_bool}},
          {{sample({2, 3}, -9, 9, i32)}, {to_f32}},
          {{sample({4}, -9, 9, i32)}, {{"dtype", i64}}},
          {{sample({4}, 0, 2, boolean)}, {to_f32}},
          {{sample({2, 3})}, {{"dtype", f16}}, false},
          {{sample({2, 3})}, {{"dtype", bf16}}, false},
          {{sample({2, 3})}, {{"dtype", f8_e4m3}}, false},
          {{sample({2, 3}, -2, 2, f8_e5m2)}, {{"dtype", f32}}, false},
          {{sample({0, 3})}, {to_f64}}};
}

std::vector<Sample> logical_not_samples() {
  return {
      {{sample({3, 5}, 0, 2, boolean)}, {}}, {{sample({2, 3}, -9, 9, i32)}, {}}, {{sample({0}, 0, 2, boolean)}, {}}};
}

/// The fields in which unary ops differ.
struct Unary {
  std::string_view name, doc;
  uint16_t code;
  std::vector<Type> (*infer)(const InferArgs&);
  void (*vjp)(VjpArgs&);
  Saves saves;
  std::vector<Sample> (*samples)();
  Gradient gradient = Gradient::flows;
};

OpDef define(const Unary& u) {
  return {.name = u.name,
          .doc = u.doc,
          .tier = Tier::scalar,
          .fusion = Fusion::elementwise,
          .infer = u.infer,
          .vjp = u.vjp,
          .gradient = u.gradient,
          .smooth = u.gradient == Gradient::flows,
          .scalar_code = u.code,
          .in_place = true,
          .saves = u.saves,
          .samples = u.samples};
}

OpDef define_cast() {
  OpDef op = define({"cast",
                     "y = x in another dtype, same shape. Float to integer truncates and saturates, NaN gives 0; to "
                     "bool: x != 0.",
                     BP_S_CAST, infer_cast, cast_vjp, Saves::nothing, cast_samples});
  op.attrs = {{"dtype", AttrKind::dtype, f32, "dtype of the result", true}};
  op.in_place = false;  // element sizes differ in general
  return op;
}

constexpr auto kFloats = infer_same<Kinds::floats>;
constexpr auto kNumeric = infer_same<Kinds::numeric>;
constexpr auto kAround0 = unary_samples<-2.0, 2.0>;
constexpr auto kPositive = unary_samples<0.5, 3.0>;

}  // namespace

const OpDef op::cast = define_cast();
const OpDef op::neg = define({"neg", "y = -x. Integers wrap.", BP_S_NEG, kNumeric, neg_vjp, Saves::nothing, kAround0});
const OpDef op::abs =
    define({"abs", "y = |x|; the gradient at 0 is 0.", BP_S_ABS, kNumeric, abs_vjp, Saves::inputs, kAround0});
const OpDef op::logical_not =
    define({"logical_not", "y = !x for bool, ~x (all bits) for integers.", BP_S_NOT, infer_same<Kinds::logical>,
            nullptr, Saves::nothing, logical_not_samples, Gradient::blocked});
const OpDef op::exp = define({"exp", "y = e^x", BP_S_EXP, kFloats, exp_vjp, Saves::outputs, kAround0});
const OpDef op::log =
    define({"log", "y = ln x; NaN below 0, -inf at 0.", BP_S_LOG, kFloats, log_vjp, Saves::inputs, kPositive});
const OpDef op::sqrt =
    define({"sqrt", "y = x^(1/2); NaN below 0.", BP_S_SQRT, kFloats, sqrt_vjp, Saves::outputs, kPositive});
const OpDef op::rsqrt = define(
    {"rsqrt", "y = x^(-1/2); NaN below 0, inf at 0.", BP_S_RSQRT, kFloats, rsqrt_vjp, Saves::outputs, kPositive});
const OpDef op::sin = define({"sin", "y = sin x", BP_S_SIN, kFloats, sin_vjp, Saves::inputs, kAround0});
const OpDef op::cos = define({"cos", "y = cos x", BP_S_COS, kFloats, cos_vjp, Saves::inputs, kAround0});
const OpDef op::tanh = define({"tanh", "y = tanh x", BP_S_TANH, kFloats, tanh_vjp, Saves::outputs, kAround0});
const OpDef op::erf = define(
    {"erf", "y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x", BP_S_ERF, kFloats, erf_vjp, Saves::inputs, kAround0});
const OpDef op::expm1 =
    define({"expm1", "y = e^x - 1, exact near 0", BP_S_EXPM1, kFloats, expm1_vjp, Saves::outputs, kAround0});
const OpDef op::log1p =
    define({"log1p", "y = ln(1 + x), exact near 0", BP_S_LOG1P, kFloats, log1p_vjp, Saves::inputs, kPositive});
const OpDef op::floor = define(
    {"floor", "y = largest integer <= x", BP_S_FLOOR, kFloats, nullptr, Saves::nothing, kAround0, Gradient::blocked});
const OpDef op::ceil = define(
    {"ceil", "y = smallest integer >= x", BP_S_CEIL, kFloats, nullptr, Saves::nothing, kAround0, Gradient::blocked});

}  // namespace backplane::graph
