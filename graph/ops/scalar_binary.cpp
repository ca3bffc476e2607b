// SPDX-License-Identifier: Apache-2.0
// Scalar ops of two and three operands: one instruction each; operands have one dtype and broadcast as in NumPy.
// Gradients have the shape of the result; whoever calls the VJP sums broadcast axes.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Sym zero_like(Sym x) { return scalar(*x.builder, 0, x.dtype()); }

void add_vjp(VjpArgs& a) { a.dx = {a.dy[0], a.dy[0]}; }
void sub_vjp(VjpArgs& a) {
  a.dx[0] = a.dy[0];
  if (a.wants[1]) a.dx[1] = -a.dy[0];
}
void mul_vjp(VjpArgs& a) {
  if (a.wants[0]) a.dx[0] = a.dy[0] * a.in[1];
  if (a.wants[1]) a.dx[1] = a.dy[0] * a.in[0];
}
void div_vjp(VjpArgs& a) {
  const Sym g = a.dy[0] / a.in[1];
  a.dx[0] = g;
  if (a.wants[1]) a.dx[1] = -(g * (a.in[0] / a.in[1]));
}
// a rem b = a - b q with q = trunc(a / b), which is flat: (a - y) / b is q up to rounding.
void rem_vjp(VjpArgs& a) {
  a.dx[0] = a.dy[0];
  if (a.wants[1]) a.dx[1] = -(a.dy[0] * ((a.in[0] - a.out[0]) / a.in[1]));
}
// Guards keep 0 * inf out: d/da at b = 0 is 0, d/db at a = 0 is 0 for b > 0. A negative base has no d/db: NaN.
void pow_vjp(VjpArgs& v) {
  const Sym a = v.in[0], b = v.in[1], y = v.out[0], zero = zero_like(a), one = scalar(v.builder, 1, a.dtype());
  if (v.wants[0]) {
    const Sym flat = binary(op::eq, b, zero);
    v.dx[0] = v.dy[0] * where(flat, zero, b * binary(op::pow, a, where(flat, one, b) - 1.0));
  }
  if (v.wants[1]) v.dx[1] = v.dy[0] * y * log(where(binary(op::eq, a, zero), one, a));
}
/// Gradient of maximum (or minimum): all of it where `winner` holds, half where operands are equal.
void extremum_vjp(VjpArgs& v, bool max) {
  const Sym a = v.in[0], b = v.in[1], dy = v.dy[0], tie = binary(op::eq, a, b);
  const Sym first = max ? binary(op::lt, b, a) : binary(op::lt, a, b);
  if (v.wants[0]) v.dx[0] = where(first, dy, where(tie, dy * 0.5, zero_like(a)));
  if (v.wants[1]) v.dx[1] = where(first, zero_like(a), where(tie, dy * 0.5, dy));
}
void maximum_vjp(VjpArgs& v) { extremum_vjp(v, true); }
void minimum_vjp(VjpArgs& v) { extremum_vjp(v, false); }
void where_vjp(VjpArgs& a) {
  if (a.wants[1]) a.dx[1] = where(a.in[0], a.dy[0], zero_like(a.dy[0]));
  if (a.wants[2]) a.dx[2] = where(a.in[0], zero_like(a.dy[0]), a.dy[0]);
}

template <Kinds K>
std::vector<Type> infer_binary(const InferArgs& args) {
  require_kind(args, K);
  require_same_dtype(args, 0, 1);
  return {{args.in[0].dtype, broadcast_shapes(args.in[0].shape, args.in[1].shape, args)}};
}
std::vector<Type> infer_compare(const InferArgs& args) {
  require_kind(args, Kinds::computed);
  require_same_dtype(args, 0, 1);
  return {{boolean, broadcast_shapes(args.in[0].shape, args.in[1].shape, args)}};
}
std::vector<Type> infer_where(const InferArgs& args) {
  if (args.in[0].dtype != boolean)
    args.fail("the condition must be bool", "compare it with something, or cast it to bool");
  require_same_dtype(args, 1, 2);
  const Shape values = broadcast_shapes(args.in[1].shape, args.in[2].shape, args);
  return {{args.in[1].dtype, broadcast_shapes(args.in[0].shape, values, args)}};
}

/// Shapes: equal, broadcast one way, both ways, ranks that differ, scalar, empty; second operand in [Low, High).
template <double Low1, double High1, double Low2, double High2, DType D = f32>
std::vector<Sample> binary_samples() {
  const auto a = [](Shape s) { return sample(s, Low1, High1, D); };
  const auto b = [](Shape s) { return sample(s, Low2, High2, D); };
  return {{{a({4, 8}), b({4, 8})}, {}},   {{a({3, 5}), b({5})}, {}}, {{a({3, 1}), b({1, 7})}, {}},
          {{a({5}), b({2, 3, 5})}, {}},   {{a({}), b({2, 3})}, {}},  {{a({0, 3}), b({1, 3})}, {}},
          {{a({2, 1, 3}), b({4, 1})}, {}}};
}
std::vector<Sample> compare_samples() {
  std::vector<Sample> out = binary_samples<-2.0, 2.0, -2.0, 2.0>();
  out.push_back({{sample({40}, -3, 3, i32), sample({40}, -3, 3, i32)}, {}});
  out.push_back({{sample({8}, 0, 2, boolean), sample({8}, 0, 2, boolean)}, {}});
  return out;
}
std::vector<Sample> bit_samples() {
  std::vector<Sample> out = binary_samples<-1000.0, 1000.0, -1000.0, 1000.0, i32>();
  out.push_back({{sample({16}, 0, 2, boolean), sample({16}, 0, 2, boolean)}, {}});
  return out;
}
std::vector<Sample> where_samples() {
  const auto c = [](Shape s) { return sample(s, 0, 2, boolean); };
  return {{{c({4, 8}), sample({4, 8}), sample({4, 8})}, {}},
          {{c({3, 1}), sample({1, 5}), sample({})}, {}},
          {{c({5}), sample({2, 1, 5}), sample({3, 1})}, {}},
          {{c({}), sample({3}), sample({3})}, {}},
          {{c({0, 2}), sample({0, 2}), sample({2})}, {}},
          {{c({4}), sample({4}, -9, 9, i32), sample({4}, -9, 9, i32)}, {}}};
}

/// The fields in which binary ops differ.
struct Binary {
  std::string_view name, doc;
  uint16_t code;
  std::vector<Type> (*infer)(const InferArgs&);
  void (*vjp)(VjpArgs&);
  Saves saves;
  std::vector<Sample> (*samples)();
  bool commutative = false;
  bool smooth = true;
};

OpDef define(const Binary& b) {
  return {.name = b.name,
          .doc = b.doc,
          .min_inputs = 2,
          .max_inputs = 2,
          .tier = Tier::scalar,
          .fusion = Fusion::elementwise,
          .infer = b.infer,
          .vjp = b.vjp,
          .gradient = b.vjp != nullptr ? Gradient::flows : Gradient::blocked,
          .smooth = b.smooth && b.vjp != nullptr,
          .scalar_code = b.code,
          .promotes = true,
          .commutative = b.commutative,
          .in_place = true,
          .saves = b.saves,
          .samples = b.samples};
}

constexpr auto kNumeric = infer_binary<Kinds::numeric>;
constexpr auto kFloats = infer_binary<Kinds::floats>;
constexpr auto kComputed = infer_binary<Kinds::computed>;
constexpr auto kLogical = infer_binary<Kinds::logical>;
constexpr auto kIntegers = infer_binary<Kinds::integers>;
constexpr auto kPlain = binary_samples<-2.0, 2.0, -2.0, 2.0>;
constexpr auto kPositive = binary_samples<0.5, 2.0, -2.0, 2.0>;
constexpr auto kAwayFrom0 = binary_samples<-3.0, 3.0, 1.0, 2.0>;
constexpr auto kShift = binary_samples<-1e9, 1e9, 0.0, 40.0, i32>;
constexpr bool kCommutes = true;

}  // namespace

const OpDef op::add = define({"add", "y = a + b", BP_S_ADD, kNumeric, add_vjp, Saves::nothing, kPlain, kCommutes});
const OpDef op::sub = define({"sub", "y = a - b", BP_S_SUB, kNumeric, sub_vjp, Saves::nothing, kPlain});
const OpDef op::mul = define({"mul", "y = a * b", BP_S_MUL, kNumeric, mul_vjp, Saves::inputs, kPlain, kCommutes});
const OpDef op::div = define({"div", "y = a / b; integers truncate towards zero and x / 0 = 0.", BP_S_DIV, kNumeric,
                              div_vjp, Saves::inputs, kAwayFrom0});
const OpDef op::rem = define({"rem", "y = a - b * trunc(a / b), with the sign of a; integers: x rem 0 = 0.", BP_S_REM,
                              kNumeric, rem_vjp, Saves::inputs_and_outputs, kAwayFrom0});
const OpDef op::pow = define({"pow", "y = a^b as in C99; the gradient to b is NaN for a < 0.", BP_S_POW, kFloats,
                              pow_vjp, Saves::inputs_and_outputs, kPositive});
// max and min do not commute to the bit: of +0 and -0 a device may give either, say the first.
const OpDef op::maximum = define({"maximum", "y = max(a, b); NaN if either is NaN; equal operands share the gradient.",
                                  BP_S_MAX, kComputed, maximum_vjp, Saves::inputs, kPlain});
const OpDef op::minimum = define({"minimum", "y = min(a, b); NaN if either is NaN; equal operands share the gradient.",
                                  BP_S_MIN, kComputed, minimum_vjp, Saves::inputs, kPlain});
const OpDef op::eq = define({"eq", "y = (a == b), bool; false for NaN", BP_S_EQ, infer_compare, nullptr, Saves::nothing,
                             compare_samples, kCommutes});
const OpDef op::ne = define({"ne", "y = (a != b), bool; true for NaN", BP_S_NE, infer_compare, nullptr, Saves::nothing,
                             compare_samples, kCommutes});
const OpDef op::lt = define(
    {"lt", "y = (a < b), bool; false for NaN", BP_S_LT, infer_compare, nullptr, Saves::nothing, compare_samples});
const OpDef op::le = define(
    {"le", "y = (a <= b), bool; false for NaN", BP_S_LE, infer_compare, nullptr, Saves::nothing, compare_samples});
const OpDef op::bit_and = define({"bit_and", "y = a & b: logical for bool, bitwise for integers", BP_S_AND, kLogical,
                                  nullptr, Saves::nothing, bit_samples, kCommutes});
const OpDef op::bit_or = define({"bit_or", "y = a | b: logical for bool, bitwise for integers", BP_S_OR, kLogical,
                                 nullptr, Saves::nothing, bit_samples, kCommutes});
const OpDef op::bit_xor = define({"bit_xor", "y = a ^ b: logical for bool, bitwise for integers", BP_S_XOR, kLogical,
                                  nullptr, Saves::nothing, bit_samples, kCommutes});
const OpDef op::shift_left = define(
    {"shift_left", "y = a << b; b is taken modulo the width", BP_S_SHL, kIntegers, nullptr, Saves::nothing, kShift});
const OpDef op::shift_right = define({"shift_right",
                                      "y = a >> b, logical: zeros come in from the left; b is taken modulo the "
                                      "width",
                                      BP_S_SHR, kIntegers, nullptr, Saves::nothing, kShift});

const OpDef op::where = {
    .name = "where",
    .doc = "y = c ? a : b; c is bool, the three broadcast.",
    .min_inputs = 3,
    .max_inputs = 3,
    .tier = Tier::scalar,
    .fusion = Fusion::elementwise,
    .infer = infer_where,
    .vjp = where_vjp,
    .scalar_code = BP_S_SELECT,
    .in_place = true,
    .saves = Saves::inputs,
    .samples = where_samples,
};

}  // namespace backplane::graph
