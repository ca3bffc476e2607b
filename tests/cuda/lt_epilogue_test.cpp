// SPDX-License-Identifier: Apache-2.0
// Which epilogues cuBLASLt does itself: those that say what it says, in any order of sums and factors, and nothing that is
// nearly that. Then the same on the card, with every variant against the reference card; on a real GPU these prove it.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "cards/compare.h"
#include "epilogue_pattern.h"

namespace card_test {
namespace {

namespace cuda = backplane::cuda;
using cuda::Activation;

constexpr double kScale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;

/// Instructions behind `num_inputs` values, the last one being the output.
class Writer {
 public:
  explicit Writer(std::vector<uint32_t> dtypes) : dtypes_(std::move(dtypes)) {}
  uint16_t add(bp_instr instr) {
    spec.instrs.push_back(instr);
    return static_cast<uint16_t>(dtypes_.size() + spec.instrs.size() - 1);
  }
  uint16_t op(uint16_t code, uint16_t a, uint16_t b = 0) { return add(instr(code, BP_F32, a, b)); }
  uint16_t value(double x) { return add(constant(BP_F32, x)); }
  uint16_t cast(uint16_t a, uint32_t dtype) { return add(instr(BP_S_CAST, dtype, a)); }
  ProgramSpec done(uint16_t out) {
    spec.num_inputs = static_cast<uint32_t>(dtypes_.size()), spec.outputs = {out};
    return spec;
  }
  std::optional<cuda::EpiloguePattern> read(uint16_t out) {
    done(out);
    bp_program program{};
    program.size = sizeof(program), program.num_inputs = spec.num_inputs, program.num_outputs = 1;
    program.num_instrs = static_cast<uint32_t>(spec.instrs.size());
    program.instrs = spec.instrs.data(), program.outputs = spec.outputs.data();
    return cuda::recognise_epilogue(program, dtypes_);
  }

 private:
  std::vector<uint32_t> dtypes_;
  ProgramSpec spec;
};

/// GELU's tanh form of x, as the graph writes it, with its constants to change.
uint16_t gelu(Writer& w, uint16_t x, double half = 0.5, double cubic = 0.044715, double scale = kScale) {
  const uint16_t cube = w.op(BP_S_MUL, w.op(BP_S_MUL, w.op(BP_S_MUL, x, x), x), w.value(cubic));
  const uint16_t angle = w.op(BP_S_MUL, w.op(BP_S_ADD, x, cube), w.value(scale));
  return w.op(BP_S_MUL, w.op(BP_S_MUL, x, w.value(half)), w.op(BP_S_ADD, w.op(BP_S_TANH, angle), w.value(1)));
}

TEST(EpiloguePattern, SumsInAnyOrder) {
  Writer w({BP_F32, BP_F32, BP_BF16});
  const uint16_t scaled = w.op(BP_S_MUL, w.value(0.125), 0), residual = w.op(BP_S_MUL, w.cast(2, BP_F32), w.value(3));
  const auto found = w.read(w.op(BP_S_SUB, w.op(BP_S_ADD, 1, scaled), residual));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->alpha, 0.125);
  ASSERT_EQ(found->addends.size(), 2u);
  EXPECT_EQ(found->addends[0].input, 1u);
  EXPECT_EQ(found->addends[0].factor, 1);
  EXPECT_EQ(found->addends[1].input, 2u);
  EXPECT_EQ(found->addends[1].factor, -3);
  EXPECT_EQ(found->activation, Activation::none);
}

TEST(EpiloguePattern, ScalesOfTheProductAlone) {
  Writer w({BP_F32, BP_F32, BP_F32, BP_F32});
  const uint16_t scaled = w.op(BP_S_MUL, w.op(BP_S_MUL, 1, w.value(0.5)), w.op(BP_S_MUL, 0, 3));
  const auto found = w.read(w.op(BP_S_ADD, scaled, 2));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->alpha, 0.5);
  EXPECT_EQ(found->scales, (std::vector<uint32_t>{1, 3}));
  ASSERT_EQ(found->addends.size(), 1u);
  EXPECT_EQ(found->addends[0].input, 2u);
}

TEST(EpiloguePattern, Activations) {
  Writer relu({BP_F32, BP_F32});
  const auto rectified = relu.read(relu.cast(relu.op(BP_S_MAX, relu.value(0), relu.op(BP_S_ADD, 0, 1)), BP_BF16));
  ASSERT_TRUE(rectified);
  EXPECT_EQ(rectified->activation, Activation::relu);
  Writer w({BP_F32, BP_F32});
  const auto smooth = w.read(gelu(w, w.op(BP_S_ADD, 0, 1)));
  ASSERT_TRUE(smooth);
  EXPECT_EQ(smooth->activation, Activation::gelu_tanh);
  EXPECT_EQ(smooth->addends.size(), 1u);
  Writer scaled({BP_F32});  // x itself is a product, which ends where x begins
  const auto of_product = scaled.read(gelu(scaled, scaled.op(BP_S_MUL, 0, scaled.value(0.5))));
  ASSERT_TRUE(of_product);
  EXPECT_EQ(of_product->activation, Activation::gelu_tanh);
  EXPECT_EQ(of_product->alpha, 0.5);
}

TEST(EpiloguePattern, NearMissesAreNotTaken) {
  const auto refused = [](const char* what, const std::function<uint16_t(Writer&)>& write, std::vector<uint32_t> dtypes) {
    Writer w(std::move(dtypes));
    EXPECT_FALSE(w.read(write(w))) << what;
  };
  const std::vector<uint32_t> two{BP_F32, BP_F32};
  refused("a clip at another value", [](Writer& w) { return w.op(BP_S_MAX, 0, w.value(1e-30)); }, two);
  refused("a minimum", [](Writer& w) { return w.op(BP_S_MIN, 0, w.value(0)); }, two);
  refused("a select, which loses NaN", [](Writer& w) {
    const uint16_t zero = w.value(0), positive = w.add(instr(BP_S_LT, BP_BOOL, zero, 0));
    return w.add(instr(BP_S_SELECT, BP_F32, positive, 0, zero));
  }, two);
  refused("GELU with another cubic", [](Writer& w) { return gelu(w, 0, 0.5, 0.044716); }, two);
  refused("GELU with another scale", [](Writer& w) { return gelu(w, 0, 0.5, 0.044715, 0.7978); }, two);
  refused("GELU without its half", [](Writer& w) { return gelu(w, 0, 1); }, two);
  refused("GELU by erf", [](Writer& w) {
    const uint16_t erf = w.op(BP_S_ERF, w.op(BP_S_MUL, 0, w.value(std::numbers::sqrt2 / 2)));
    return w.op(BP_S_MUL, w.op(BP_S_MUL, 0, w.value(0.5)), w.op(BP_S_ADD, erf, w.value(1)));
  }, two);
  refused("the activation before the bias", [](Writer& w) {
    return w.op(BP_S_ADD, w.op(BP_S_MAX, 0, w.value(0)), 1);
  }, two);
  refused("a scale of the whole sum", [](Writer& w) { return w.op(BP_S_MUL, w.op(BP_S_ADD, 0, 1), 2); }, {BP_F32, BP_F32, BP_F32});
  refused("the product squared", [](Writer& w) { return w.op(BP_S_MUL, 0, w.op(BP_S_MUL, 0, 1)); }, two);
  refused("a scale that is computed", [](Writer& w) { return w.op(BP_S_MUL, 0, w.op(BP_S_EXP, 1)); }, two);
  refused("a constant added", [](Writer& w) { return w.op(BP_S_ADD, 0, w.value(1)); }, two);
  refused("an input that comes twice", [](Writer& w) { return w.op(BP_S_ADD, w.op(BP_S_ADD, 0, 1), 1); }, two);
  refused("no product", [](Writer&) { return uint16_t{1}; }, two);
  refused("the product twice", [](Writer& w) { return w.op(BP_S_ADD, 0, 0); }, two);
  refused("a rounding in the middle", [](Writer& w) {
    return w.op(BP_S_ADD, w.cast(w.cast(0, BP_BF16), BP_F32), 1);
  }, two);
  refused("tanh", [](Writer& w) { return w.op(BP_S_TANH, w.op(BP_S_ADD, 0, 1)); }, two);
}

struct Epilogues : CardTest {
  static constexpr int64_t kM = 24, kN = 40, kK = 64;
  /// A product with two more inputs: full (as the output lies) and along the rows.
  static Case product(uint32_t dtype, uint32_t out, Lay lay, const std::vector<int64_t>& batch = {}) {
    Case c;
    c.code = BP_OP_MATMUL;
    c.name = "epilogue, dtype " + std::to_string(dtype) + " to " + std::to_string(out) + " lay " + std::to_string(int(lay)) +
             " batch " + std::to_string(batch.size());
    const auto shape = [&](int64_t rows, int64_t columns) {
      std::vector<int64_t> all = batch;
      all.insert(all.end(), {rows, columns});
      return all;
    };
    c.in = {lay_out(dtype, shape(kM, kK)), lay_out(dtype, shape(kK, kN)), lay_out(out, shape(kM, kN), lay)};
    bp_tensor_desc bias = lay_out(out, shape(kM, kN));
    for (uint32_t axis = 0; axis + 1 < bias.rank; ++axis) bias.strides[axis] = 0;
    c.in.push_back(bias);
    c.out = {lay_out(out, shape(kM, kN))};
    c.has_program = true;
    c.bound.terms = kK, c.bound.floor = 1 + kK / 4.0;
    return c;
  }
  /// Is one of the card's variants cuBLASLt with the epilogue inside?
  static bool offered(const Case& c) {
    bp_program program;
    for (const bp_variant& v : card_under_test().variants(make_op(c, program))) {
      if (std::string(v.name).starts_with("cublaslt+epilogue@")) return true;
    }
    return false;
  }
  /// residual + bias + product, then what `activate` makes of it, rounded to `out`.
  template <class F>
  static void finish(Case& c, uint32_t out, F activate) {
    Writer w({BP_F32, out, out});
    const auto wide = [&](uint16_t v) { return out == BP_F32 ? v : w.cast(v, BP_F32); };
    const uint16_t residual = wide(1), bias = wide(2);
    const uint16_t sum = w.op(BP_S_ADD, w.op(BP_S_ADD, w.op(BP_S_MUL, 0, w.value(0.5)), bias), residual);
    const uint16_t result = activate(w, sum);
    c.program = w.done(out == BP_F32 ? result : w.cast(result, out));
  }
};

TEST_F(Epilogues, OfEveryKindAndDtype) {
  const auto nothing = [](Writer&, uint16_t x) { return x; };
  const auto relu = [](Writer& w, uint16_t x) { return w.op(BP_S_MAX, x, w.value(0)); };
  const auto smooth = [](Writer& w, uint16_t x) { return gelu(w, x); };
  for (const auto& [dtype, out] : {std::pair{BP_F32, BP_F32}, {BP_BF16, BP_BF16}, {BP_BF16, BP_F32}, {BP_F16, BP_F16}}) {
    for (const std::vector<int64_t>& batch : {std::vector<int64_t>{}, std::vector<int64_t>{3}}) {
      Case c = product(dtype, out, Lay::padded, batch);
      finish(c, out, nothing);
      EXPECT_TRUE(offered(c)) << c.name;
      compare(c);
      finish(c, out, relu);
      EXPECT_TRUE(offered(c)) << c.name;
      compare(c);
      finish(c, out, smooth);
      EXPECT_TRUE(offered(c)) << c.name;
      compare(c);
    }
  }
}

TEST_F(Epilogues, ScalesOfEightBitFloats) {
  for (const uint32_t out : {BP_BF16, BP_F16, BP_F32}) {
    Case c = product(BP_F8_E4M3, out, Lay::dense);
    constexpr int64_t n = 48;  // a multiple of 16, and both operands lie along k: what cuBLASLt takes
    c.in = {lay_out(BP_F8_E4M3, {kM, kK}), lay_out(BP_F8_E4M3, {kK, n}, Lay::permuted), lay_out(BP_F32, {kM, n}, Lay::scalar),
            lay_out(BP_F32, {kM, n}, Lay::scalar)};
    c.out = {lay_out(out, {kM, n})};
    c.value = [](size_t input, int64_t element) { return input > 1 ? 0.3 + double(input) : double(element % 17) / 8 - 1; };
    Writer w({BP_F32, BP_F32, BP_F32});
    const uint16_t scaled = w.op(BP_S_MUL, w.op(BP_S_MUL, 0, 1), 2);
    c.program = w.done(out == BP_F32 ? scaled : w.cast(scaled, out));
    EXPECT_TRUE(offered(c)) << c.name;
    compare(c);
    c.in[1] = lay_out(BP_F8_E4M3, {kK, n});
    EXPECT_FALSE(offered(c)) << c.name << ", along n";
    compare(c);
  }
}

TEST_F(Epilogues, TheResultOverwritesTheResidual) {
  Case c = product(BP_F32, BP_F32, Lay::dense);
  c.aliases = {{0, 2}};
  finish(c, BP_F32, [](Writer& w, uint16_t x) { return w.op(BP_S_MAX, x, w.value(0)); });
  EXPECT_TRUE(offered(c));
  compare(c);
}

TEST_F(Epilogues, OperandsThatDoNotSuitAreLeftToALaunch) {
  const auto nothing = [](Writer&, uint16_t x) { return x; };
  Case c = product(BP_BF16, BP_BF16, Lay::dense);  // a bias of another dtype than the result
  Writer w({BP_F32, BP_BF16, BP_F32});
  c.in[3].dtype = BP_F32;
  const uint16_t sum = w.op(BP_S_ADD, w.op(BP_S_ADD, 0, w.cast(1, BP_F32)), 2);
  c.program = w.done(w.cast(sum, BP_BF16));
  EXPECT_FALSE(offered(c));
  compare(c);
  Case across = product(BP_F32, BP_F32, Lay::dense);  // a bias along the columns
  across.in[3].strides[0] = 1, across.in[3].strides[1] = 0;
  finish(across, BP_F32, nothing);
  EXPECT_FALSE(offered(across));
  compare(across);
  Case turned = product(BP_F32, BP_F32, Lay::permuted);  // an addend that lies the other way round than the result
  finish(turned, BP_F32, nothing);
  EXPECT_FALSE(offered(turned));
  compare(turned);
}

TEST_F(Epilogues, NanGoesThroughActivations) {
  Case c = product(BP_F32, BP_F32, Lay::dense);
  c.value = [](size_t input, int64_t element) { return input == 0 && element == 5 ? NAN : 0.25 * double(element % 7) - 0.75; };
  finish(c, BP_F32, [](Writer& w, uint16_t x) { return w.op(BP_S_MAX, x, w.value(0)); });
  compare(c);
  finish(c, BP_F32, [](Writer& w, uint16_t x) { return gelu(w, x); });
  compare(c);
}

}  // namespace
}  // namespace card_test
