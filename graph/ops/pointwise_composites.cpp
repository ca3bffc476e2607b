// SPDX-License-Identifier: Apache-2.0
// Elementwise ops made of scalar ones: comparisons by swapping, activations. Own VJPs stand where the derivative of the
// decomposition would be wrong at a kink or lose accuracy.

#include <limits>
#include <numbers>

#include "ops/common.h"

namespace backplane::graph {

namespace {

Sym zero_of(Sym x) { return scalar(*x.builder, 0, x.dtype()); }
Sym gt0(Sym x) { return binary(op::lt, zero_of(x), x); }

std::vector<Type> infer_compare(const InferArgs& args) {
  require_same_dtype(args, 0, 1);
  return {{boolean, broadcast_shapes(args.in[0].shape, args.in[1].shape, args)}};
}

std::vector<Sample> compare_samples() {
  return {{{sample({4, 8}), sample({4, 8})}, {}},
          {{sample({3, 1}), sample({5})}, {}},
          {{sample({40}, -3, 3, i32), sample({40}, -3, 3, i32)}, {}},
          {{sample({0, 2}), sample({2})}, {}}};
}

std::vector<Sym> decompose_sign(const DecomposeArgs& a) {
  const Sym x = a.in[0], zero = zero_of(x), one = scalar(a.builder, 1, x.dtype());
  const Sym other = where(binary(op::lt, x, zero), -one, x);  // 0, -0 and NaN are their own sign
  return {where(gt0(x), one, other)};
}

std::vector<Sym> decompose_relu(const DecomposeArgs& a) { return {maximum(a.in[0], zero_of(a.in[0]))}; }
void relu_vjp(VjpArgs& a) { a.dx[0] = where(gt0(a.out[0]), a.dy[0], zero_of(a.dy[0])); }

std::vector<Sym> decompose_leaky_relu(const DecomposeArgs& a) {
  return {where(gt0(a.in[0]), a.in[0], a.in[0] * a.attrs.f64("slope"))};
}

// The branch that is not taken must not overflow: infinity times 0 would reach the gradient.
std::vector<Sym> decompose_elu(const DecomposeArgs& a) {
  const Sym x = a.in[0], negative = where(gt0(x), zero_of(x), x);
  return {where(gt0(x), x, unary(op::expm1, negative) * a.attrs.f64("alpha"))};
}

std::vector<Sym> decompose_sigmoid(const DecomposeArgs& a) { return {1.0 / (exp(-a.in[0]) + 1.0)}; }
void sigmoid_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * a.out[0] * (1.0 - a.out[0]); }

std::vector<Sym> decompose_softplus(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  return {maximum(x, zero_of(x)) + unary(op::log1p, exp(-unary(op::abs, x)))};
}
void softplus_vjp(VjpArgs& a) { a.dx[0] = a.dy[0] * unary(op::sigmoid, a.in[0]); }

std::vector<Sym> decompose_gelu(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  if (a.attrs.flag("approximate")) {
    const double c = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // sqrt(2 / pi)
    return {x * 0.5 * (tanh((x + x * x * x * 0.044715) * c) + 1.0)};
  }
  return {x * 0.5 * (unary(op::erf, x * (std::numbers::sqrt2 / 2)) + 1.0)};
}

Sym low_of(const VjpArgs& a) { return scalar(a.builder, a.attrs.f64("low"), a.in[0].dtype()); }
Sym high_of(const VjpArgs& a) { return scalar(a.builder, a.attrs.f64("high"), a.in[0].dtype()); }
std::vector<Sym> decompose_clip(const DecomposeArgs& a) {
  const Sym x = a.in[0], low = scalar(a.builder, a.attrs.f64("low"), x.dtype()),
            high = scalar(a.builder, a.attrs.f64("high"), x.dtype());
  return {minimum(maximum(x, low), high)};
}
void clip_vjp(VjpArgs& a) {
  const Sym x = a.in[0];
  const Sym inside = binary(op::bit_and, binary(op::le, low_of(a), x), binary(op::le, x, high_of(a)));
  a.dx[0] = where(inside, a.dy[0], zero_of(a.dy[0]));
}

constexpr auto kFloats = infer_same<Kinds::floats>;
constexpr auto kNumeric = infer_same<Kinds::numeric>;
constexpr auto kAround0 = unary_samples<-3.0, 3.0>;

/// The fields in which these ops differ; flops per element as the decomposition has instructions.
struct Activation {
  std::string_view name, doc;
  std::vector<Sym> (*decompose)(const DecomposeArgs&);
  std::vector<Type> (*infer)(const InferArgs&) = kFloats;
  std::vector<Sample> (*samples)() = kAround0;
  void (*vjp)(VjpArgs&) = nullptr;
  Saves saves = Saves::inputs;
  std::vector<AttrSpec> attrs;
  Gradient gradient = Gradient::flows;
};

OpDef define(const Activation& a) {
  return {.name = a.name,
          .doc = a.doc,
          .attrs = a.attrs,
          .fusion = Fusion::elementwise,
          .infer = a.infer,
          .decompose = a.decompose,
          .vjp = a.vjp,
          .gradient = a.gradient,
          .smooth = a.gradient == Gradient::flows,
          .saves = a.saves,
          .samples = a.samples};
}

OpDef define_compare(std::string_view name, std::string_view doc, std::vector<Sym> (*decompose)(const DecomposeArgs&)) {
  OpDef op =
      define({name, doc, decompose, infer_compare, compare_samples, nullptr, Saves::nothing, {}, Gradient::blocked});
  op.min_inputs = op.max_inputs = 2;
  op.promotes = true;
  return op;
}

constexpr double kInf = std::numeric_limits<double>::infinity();

}  // namespace

const OpDef op::gt =
    define_compare("gt", "y = (a > b), bool; false for NaN",
                   [](const DecomposeArgs& a) -> std::vector<Sym> { return {binary(op::lt, a.in[1], a.in[0])}; });
const OpDef op::ge =
    define_compare("ge", "y = (a >= b), bool; false for NaN",
                   [](const DecomposeArgs& a) -> std::vector<Sym> { return {binary(op::le, a.in[1], a.in[0])}; });
const OpDef op::square = define(
    {"square", "y = x * x", [](const DecomposeArgs& a) -> std::vector<Sym> { return {a.in[0] * a.in[0]}; }, kNumeric});
const OpDef op::reciprocal =
    define({"reciprocal", "y = 1 / x", [](const DecomposeArgs& a) -> std::vector<Sym> { return {1.0 / a.in[0]}; },
            kFloats, unary_samples<0.5, 3.0>});
const OpDef op::sign = define({"sign",
                               "y = 1 for x > 0, -1 for x < 0, else x (0, -0, NaN).",
                               decompose_sign,
                               kNumeric,
                               kAround0,
                               nullptr,
                               Saves::nothing,
                               {},
                               Gradient::blocked});
const OpDef op::relu = define(
    {"relu", "y = max(x, 0); the gradient at 0 is 0.", decompose_relu, kNumeric, kAround0, relu_vjp, Saves::outputs});
const OpDef op::leaky_relu = define({"leaky_relu",
                                     "y = x for x > 0, else slope * x.",
                                     decompose_leaky_relu,
                                     kFloats,
                                     kAround0,
                                     nullptr,
                                     Saves::inputs,
                                     {{"slope", AttrKind::real, 0.01, "factor for x <= 0"}}});
const OpDef op::elu = define({"elu",
                              "y = x for x > 0, else alpha * (e^x - 1).",
                              decompose_elu,
                              kFloats,
                              kAround0,
                              nullptr,
                              Saves::inputs,
                              {{"alpha", AttrKind::real, 1.0, "limit at -inf, negated"}}});
const OpDef op::sigmoid =
    define({"sigmoid", "y = 1 / (1 + e^-x)", decompose_sigmoid, kFloats, kAround0, sigmoid_vjp, Saves::outputs});
const OpDef op::silu = define({"silu", "y = x / (1 + e^-x)", [](const DecomposeArgs& a) -> std::vector<Sym> {
                                 return {a.in[0] * unary(op::sigmoid, a.in[0])};
                               }});
const OpDef op::softplus = define({"softplus", "y = ln(1 + e^x), without overflow", decompose_softplus, kFloats,
                                   kAround0, softplus_vjp, Saves::inputs});
const OpDef op::gelu =
    define({"gelu",
            "y = x/2 (1 + erf(x / sqrt 2)), or with `approximate` x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).",
            decompose_gelu,
            kFloats,
            []() -> std::vector<Sample> {
              std::vector<Sample> out = kAround0();
              out.push_back({{sample({3, 5})}, {{"approximate", true}}});
              return out;
            },
            nullptr,
            Saves::inputs,
            {{"approximate", AttrKind::boolean, false, "the formula with tanh"}}});
const OpDef op::clip =
    define({"clip",
            "y = min(max(x, low), high); the gradient is 1 inside and on the bounds.",
            decompose_clip,
            kNumeric,
            []() -> std::vector<Sample> {
              std::vector<Sample> out = kAround0();
              for (Sample& s : out) s.attrs = {{"low", -1.0}, {"high", 1.5}};
              out.push_back({{sample({5, 3})}, {{"low", 0.25}}});
              return out;
            },
            clip_vjp,
            Saves::inputs,
            {{"low", AttrKind::real, -kInf, "least result"}, {"high", AttrKind::real, kInf, "greatest result"}}});

}  // namespace backplane::graph
