// SPDX-License-Identifier: Apache-2.0
// Random numbers as pure functions of a key: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011), the same bits on every device, native or decomposed.
//
// Key: i32[4] = {seed low, seed high, offset low, offset high}. Flat element e of the result is word e % 4 of the block
// e / 4: Philox with key (seed low, seed high) and counter (low(e / 4), high(e / 4), offset low, offset high).
// A uniform number is the word's upper 24 bits times 2^-24.

#include <cmath>
#include <numbers>

#include "ops/common.h"

namespace backplane::graph {

namespace {

constexpr int kRounds = 10;
constexpr int64_t kMultiplier[2] = {0xD2511F53, 0xCD9E8D57};
constexpr int64_t kWeyl[2] = {0x9E3779B9, 0xBB67AE85};  // golden ratio, sqrt(3) - 1: added to the key each round

/// Words of 32 bits as i32 tensors; arithmetic modulo 2^32 is i32 arithmetic that wraps.
Sym word(Builder& b, int64_t value) { return scalar(b, static_cast<double>(static_cast<int32_t>(value)), i32); }
Sym shr(Sym x, int64_t by) { return binary(op::shift_right, x, word(*x.builder, by)); }
Sym low16(Sym x) { return binary(op::bit_and, x, word(*x.builder, 0xffff)); }
Sym exclusive_or(Sym a, Sym b) { return binary(op::bit_xor, a, b); }

/// Upper word of the unsigned 64-bit product x * m, from four products of halves, none of which leaves 32 bits. Halves
/// may use the sign bit: adding wraps, and shr is logical.
Sym multiply_high(Sym x, int64_t m) {
  Builder& b = *x.builder;
  const Sym x0 = low16(x), x1 = shr(x, 16), m0 = word(b, m & 0xffff), m1 = word(b, m >> 16);
  const Sym low = x0 * m0;
  const Sym middle = x1 * m0 + shr(low, 16);
  const Sym carry = x0 * m1 + low16(middle);
  return x1 * m1 + shr(middle, 16) + shr(carry, 16);
}

/// Element `i` of the key, rank 0.
Sym key_word(Sym key, int64_t i) { return reshape(slice(key, Ints{i}, Ints{i + 1}, Ints{1}), {}); }

/// i32[blocks, 4]: all words of `blocks` Philox blocks. Block numbers stay below 2^31, so their high word is 0.
Sym philox(Sym key, int64_t blocks) {
  Builder& b = *key.builder;
  Sym k[2] = {key_word(key, 0), key_word(key, 1)};
  const Sym counter = iota(b, blocks, i32);
  Sym c[4] = {counter, expand(word(b, 0), {blocks}), expand(key_word(key, 2), {blocks}),
              expand(key_word(key, 3), {blocks})};
  for (int round = 0; round < kRounds; ++round) {
    const Sym high0 = multiply_high(c[0], kMultiplier[0]), low0 = c[0] * word(b, kMultiplier[0]);
    const Sym high1 = multiply_high(c[2], kMultiplier[1]), low1 = c[2] * word(b, kMultiplier[1]);
    const Sym next[4] = {exclusive_or(exclusive_or(high1, c[1]), k[0]), low1,
                         exclusive_or(exclusive_or(high0, c[3]), k[1]), low0};
    std::copy(std::begin(next), std::end(next), c);
    for (int i = 0; i < 2; ++i) k[i] = k[i] + word(b, kWeyl[i]);
  }
  return apply1(op::stack, {{"axis", int64_t{1}}}, {c[0], c[1], c[2], c[3]});
}

std::vector<Sym> decompose_bits(const DecomposeArgs& a) {
  const Shape shape(a.attrs.ints("shape"));
  const int64_t n = shape.elements(), blocks = (n + 3) / 4;
  if (n == 0) return {full(a.builder, 0, i32, shape)};
  const Sym words = reshape(philox(a.in[0], blocks), {blocks * 4});
  return {reshape(slice(words, Ints{0}, Ints{n}, Ints{1}), shape)};
}

std::vector<Sym> decompose_uniform(const DecomposeArgs& a) {
  const Sym bits = apply1(op::random_bits, {{"shape", Shape(a.attrs.ints("shape")).vector()}}, {a.in[0]});
  return {cast(shr(bits, 8), f32) * 0x1p-24};
}

/// Box and Muller 1958: sqrt(-2 ln u) cos(2 pi v). 1 - u keeps the logarithm's argument in (0, 1].
std::vector<Sym> decompose_normal(const DecomposeArgs& a) {
  const Shape shape(a.attrs.ints("shape"));
  const int64_t n = shape.elements();
  const Sym pair = apply1(op::random_uniform, {{"shape", Ints{2, n}}}, {a.in[0]});
  const auto row = [&](int64_t i) { return reshape(slice(pair, Ints{i, 0}, Ints{i + 1, n}, Ints{1, 1}), shape); };
  const Sym radius = sqrt(log(1.0 - row(0)) * -2.0);
  return {radius * unary(op::cos, row(1) * (2 * std::numbers::pi))};
}

Sym kept(const Attrs& attrs, Sym key, const Shape& shape) {
  const Sym u = apply1(op::random_uniform, {{"shape", shape.vector()}}, {key});
  return binary(op::le, scalar(*key.builder, attrs.f64("rate"), f32), u);
}

Sym drop(const Attrs& attrs, Sym x, Sym key) {
  const double rate = attrs.f64("rate");
  if (rate == 0) return x;
  // At rate 1 nothing is kept, and the factor is of no consequence.
  const double factor = rate < 1 ? 1 / (1 - rate) : 0;
  return where(kept(attrs, key, x.shape()), x * factor, scalar(*x.builder, 0, x.dtype()));
}

std::vector<Sym> decompose_dropout(const DecomposeArgs& a) { return {drop(a.attrs, a.in[0], a.in[1])}; }
/// The same mask again: drawing it twice costs less memory than keeping it.
void dropout_vjp(VjpArgs& a) { a.dx[0] = drop(a.attrs, a.dy[0], a.in[1]); }

void require_key(const InferArgs& args, size_t operand) {
  if (args.in[operand] != Type{i32, {4}})
    args.fail("the key has to be i32[4]: seed low, seed high, offset low, offset high");
}

template <DType D>
std::vector<Type> infer_random(const InferArgs& args) {
  require_key(args, 0);
  const Shape shape(args.attrs.ints("shape"));
  for (const int64_t extent : shape) {
    if (extent < 0) args.fail("shape " + shape.to_string() + " has a negative extent");
  }
  if (shape.elements() >= int64_t{1} << 32)
    args.fail("one draw gives fewer than 2^32 numbers", "draw in parts, with other offsets");
  return {{D, shape}};
}

template <uint32_t Kind>
void encode(const Attrs&, std::span<const Type>, std::span<const Type>, KernelOp& op) {
  bp_random_attrs native{};
  native.size = sizeof native;
  native.kind = Kind;
  op.code = BP_OP_RANDOM;
  op.set_attrs(native);
}

/// 10 rounds of about 8 operations give four words.
Cost cost(const Attrs&, std::span<const Type>, std::span<const Type> out) {
  return {20 * static_cast<double>(out[0].elements()), static_cast<double>(out[0].bytes())};
}

SampleInput key_sample() { return sample({4}, -2e9, 2e9, i32); }
std::vector<Sample> samples() {
  return {{{key_sample()}, {{"shape", Ints{5, 7}}}},
          {{key_sample()}, {{"shape", Ints{1}}}},
          {{key_sample()}, {{"shape", Ints{1024}}}},
          {{key_sample()}, {{"shape", Ints{0, 3}}}},
          {{key_sample()}, {{"shape", Ints{}}}}};
}

OpDef define(std::string_view name, std::string_view doc, std::vector<Type> (*infer)(const InferArgs&),
             std::vector<Sym> (*decompose)(const DecomposeArgs&), NativeSpec native) {
  return {.name = name,
          .doc = doc,
          .attrs = {{"shape", AttrKind::integers, Ints{}, "extents of the result", true}},
          .infer = infer,
          .decompose = decompose,
          .gradient = Gradient::blocked,
          .smooth = false,
          .native = native,
          .saves = Saves::nothing,
          .cost = cost,
          .samples = samples};
}

}  // namespace

const OpDef op::random_bits =
    define("random_bits", "32 random bits per element, i32, from the i32[4] key: Philox4x32-10.", infer_random<i32>,
           decompose_bits, {BP_OP_RANDOM, encode<BP_RANDOM_BITS>});
const OpDef op::random_uniform =
    define("random_uniform", "y = (bits >> 8) 2^-24, f32 in [0, 1), from the i32[4] key.", infer_random<f32>,
           decompose_uniform, {BP_OP_RANDOM, encode<BP_RANDOM_UNIFORM>});
const OpDef op::random_normal =
    define("random_normal",
           "y = sqrt(-2 ln(1 - u)) cos(2 pi v), f32, mean 0 and variance 1; u and v are the two "
           "rows of random_uniform(key) of shape [2, n].",
           infer_random<f32>, decompose_normal, {});

const OpDef op::dropout = {
    .name = "dropout",
    .doc = "y = x / (1 - rate) where random_uniform(key) >= rate, else 0. The gradient draws the same mask again.",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = {{"rate", AttrKind::real, 0.5, "chance that an element becomes 0, in [0, 1]"}},
    .infer = [](const InferArgs& args) -> std::vector<Type> {
      require_kind(args, Kinds::floats);
      require_key(args, 1);
      const double rate = args.attrs.f64("rate");
      if (!(rate >= 0 && rate <= 1)) args.fail("rate is " + std::to_string(rate) + ", not in [0, 1]");
      return {args.in[0]};
    },
    .decompose = decompose_dropout,
    .vjp = dropout_vjp,
    .saves = Saves::inputs,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 8}), key_sample()}, {}},
              {{sample({3, 7}), key_sample()}, {{"rate", 0.1}}},
              {{sample({5}), key_sample()}, {{"rate", 0.0}}},
              {{sample({5}), key_sample()}, {{"rate", 1.0}}},
              {{sample({0, 3}), key_sample()}, {}}};
    },
};

}  // namespace backplane::graph
