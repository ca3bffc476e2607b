// SPDX-License-Identifier: Apache-2.0
// What of cuDNN the card offers: which engines for which operation, by which names, and what is said without it. The engines
// are the emulator's (emulator/cudnn.cpp); that each computes the right thing is in the cards' suite, which takes every
// variant of every convolution.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "cards/compare.h"

namespace card_test {
namespace {

class Cudnn : public CardTest {
 protected:
  void SetUp() override {
    if (std::getenv("BACKPLANE_TEST_GPU") != nullptr) GTEST_SKIP() << "these engines are the emulator's";
    attrs.size = sizeof(attrs), attrs.spatial_rank = 2, attrs.groups = 1;
    for (int axis = 0; axis < 2; ++axis) {
      attrs.stride[axis] = attrs.dilation[axis] = 1;
      attrs.pad_low[axis] = attrs.pad_high[axis] = 1;
    }
  }
  Case convolution(uint32_t dtype = BP_F32, int64_t kernel = 3) const {
    const int64_t less = kernel - 3;
    Case c;
    c.name = "convolution";
    c.code = BP_OP_CONVOLUTION, c.attrs = &attrs;
    c.in = {lay_out(dtype, {2, 4, 9, 9}), lay_out(dtype, {8, 4, kernel, kernel})};
    c.out = {lay_out(dtype, {2, 8, 9 - less, 9 - less})};
    c.bound.linear = true, c.bound.weight = 64, c.bound.terms = static_cast<double>(4 * kernel * kernel);
    return c;
  }
  static std::map<std::string, bp_variant> offered(bp_op op) {
    std::map<std::string, bp_variant> found;
    for (const bp_variant& v : card_under_test().variants(op)) {
      if (std::string(v.name).starts_with("cudnn@")) found[v.name] = v;
    }
    return found;
  }
  static std::set<std::string> names(const bp_op& op) {
    std::set<std::string> all;
    for (const auto& [name, variant] : offered(op)) all.insert(name);
    return all;
  }
  /// The first element of convolution()'s result.
  static double at_the_corner(const std::vector<double>& x, const std::vector<double>& w) {
    double sum = 0;
    for (size_t c = 0; c < 4; ++c) {
      for (size_t row = 0; row < 2; ++row) {
        for (size_t column = 0; column < 2; ++column) sum += x[c * 81 + row * 9 + column] * w[c * 9 + (row + 1) * 3 + column + 1];
      }
    }
    return sum;
  }
  bp_convolution_attrs attrs{};
  bp_program program{};
};
using Names = std::set<std::string>;

TEST_F(Cudnn, EnginesThatTheOperationAllows) {
  const Case c = convolution();
  bp_op op = make_op(c, program);
  // Strict f32 has no tensor cores, and nobody has the workspace of engine 4.
  EXPECT_EQ(names(op), (Names{"cudnn@eng=0", "cudnn@eng=2,k14=5", "cudnn@eng=2,k14=6", "cudnn@eng=3"}));
  op.math_mode = BP_MATH_TF32;
  EXPECT_EQ(names(op).count("cudnn@eng=1"), 1u);
  op.deterministic = 1;
  EXPECT_EQ(names(op), (Names{"cudnn@eng=0", "cudnn@eng=1", "cudnn@eng=3"}));
  op.max_workspace = 4095;
  EXPECT_EQ(names(op), (Names{"cudnn@eng=0", "cudnn@eng=3"}));
  const Case wide = convolution(BP_F32, 5);
  EXPECT_EQ(names(make_op(wide, program)).count("cudnn@eng=3"), 0u) << "engine 3 is for filters of 3 x 3";
  const Case half = convolution(BP_BF16);
  EXPECT_EQ(names(make_op(half, program)).count("cudnn@eng=1"), 1u) << "bf16 is what tensor cores are for";
}

TEST_F(Cudnn, SaysWhatTheEngineDoes) {
  const Case c = convolution();
  bp_op op = make_op(c, program);
  op.math_mode = BP_MATH_TF32;
  const auto variants = offered(op);
  EXPECT_EQ(variants.at("cudnn@eng=1").numeric_notes, uint32_t{BP_NOTE_TENSOR_CORE} | BP_NOTE_TF32);
  EXPECT_GE(variants.at("cudnn@eng=1").workspace, 4096u);
  EXPECT_EQ(variants.at("cudnn@eng=2,k14=5").determinism, uint32_t{BP_DETERMINISM_NONE});
  EXPECT_EQ(variants.at("cudnn@eng=2,k14=5").numeric_notes, uint32_t{BP_NOTE_ATOMICS});
  EXPECT_EQ(variants.at("cudnn@eng=3").numeric_notes, uint32_t{BP_NOTE_WINOGRAD});
  EXPECT_EQ(variants.at("cudnn@eng=0").workspace, 0u);
  for (const auto& [name, variant] : variants) EXPECT_EQ(variant.flags & BP_VARIANT_DEFAULT, 0u) << name;
}

TEST_F(Cudnn, OperandsThatDoNotSuitHaveNoEngine) {
  Case c = convolution();
  c.in[0].strides[0] = 0;
  EXPECT_TRUE(names(make_op(c, program)).empty()) << "images that repeat";
  c = convolution();
  attrs.pad_low[0] = -1, attrs.pad_high[0] = 3;
  EXPECT_TRUE(names(make_op(c, program)).empty()) << "a crop";
  attrs.pad_low[0] = attrs.pad_high[0] = 1;
  c = convolution(BP_BF16);  // an epilogue reads the sum unrounded, which this output cannot hold
  c.has_program = true;
  c.program = {{instr(BP_S_TANH, BP_F32, 0), instr(BP_S_CAST, BP_BF16, 1)}, 1, {2}};
  EXPECT_TRUE(names(make_op(c, program)).empty()) << "an epilogue behind bf16";
}

/// q, k, v -> o, lse.
Case attention(const bp_attention_attrs& attrs, uint32_t dtype, int64_t queries, int64_t keys, int64_t width) {
  Case c;
  c.name = "attention";
  c.code = BP_OP_ATTENTION, c.attrs = &attrs;
  c.in = {lay_out(dtype, {2, 4, queries, width}), lay_out(dtype, {2, 2, keys, width}), lay_out(dtype, {2, 2, keys, width})};
  c.out = {lay_out(dtype, {2, 4, queries, width}), lay_out(BP_F32, {2, 4, queries})};
  c.bound.weight = 16, c.bound.terms = static_cast<double>(keys), c.bound.floor = 1;
  return c;
}

TEST_F(Cudnn, AttentionThatFits) {
  const bp_attention_attrs plain{sizeof(bp_attention_attrs), 0, 0.125}, causal{sizeof(bp_attention_attrs), 1, 0.125};
  const Names all{"cudnn@eng=0", "cudnn@eng=1", "cudnn@eng=2,k14=5", "cudnn@eng=2,k14=6"};
  for (const bp_attention_attrs* each : {&plain, &causal}) {
    const Case c = attention(*each, BP_BF16, 24, 40, 64);
    EXPECT_EQ(names(make_op(c, program)), all);
  }
  const auto none = [&](const char* why, const Case& c) { EXPECT_TRUE(names(make_op(c, program)).empty()) << why; };
  none("f32", attention(plain, BP_F32, 24, 40, 64));
  none("a wide head", attention(plain, BP_BF16, 24, 40, 136));
  none("a head of odd width", attention(plain, BP_BF16, 24, 40, 60));
  none("queries that see no key", attention(causal, BP_BF16, 40, 24, 64));
  Case masked = attention(plain, BP_BF16, 24, 40, 64);
  masked.in.push_back(lay_out(BP_BOOL, {2, 4, 24, 40}));
  none("a mask", masked);
  Case turned = attention(plain, BP_BF16, 24, 40, 64);
  turned.in[1] = lay_out(BP_BF16, {2, 2, 40, 64}, Lay::permuted);
  none("keys whose heads are no runs", turned);
}

TEST_F(Cudnn, OperandsAnywhere) {
  const Case c = convolution();
  const bp_op op = make_op(c, program);
  Card& card = card_under_test();
  ASSERT_FALSE(names(op).empty());
  for (const std::string& name : names(op)) {
    bp_error error = make_error();
    bp_kernel* kernel = nullptr;
    bp_kernel_info info{};
    info.size = sizeof(info);
    ASSERT_EQ(card.kernels->prepare(card.device, &op, name.c_str(), &kernel, &info, &error), BP_OK) << error.message;
    EXPECT_STREQ(info.variant, name.c_str());
    std::vector<Storage> inputs{Storage(c.in[0]), Storage(c.in[1])};
    for (Storage& s : inputs) s.write([](int64_t i) { return 0.125 * static_cast<double>(i % 17) - 1; });
    for (const uint64_t off : {uint64_t{0}, uint64_t{4}}) {  // 4: for another kernel than cuDNN's
      std::vector<std::unique_ptr<Guarded>> held;
      std::vector<bp_view> views;
      for (const Storage& s : inputs) {
        std::vector<char> bytes(off, 0);
        bytes.insert(bytes.end(), s.bytes.begin(), s.bytes.end());
        held.push_back(std::make_unique<Guarded>(card, bytes.data(), bytes.size()));
        views.push_back(held.back()->view(off));
      }
      Storage result(c.out[0]);
      Guarded out(card, nullptr, result.bytes.size()), workspace(card, nullptr, info.workspace + 64);
      const bp_view to = out.view(0);
      ASSERT_EQ(card.kernels->enqueue(card.queue, kernel, views.data(), &to, workspace.view(0), &error), BP_OK) << error.message;
      result.bytes = out.contents();
      const double direct = at_the_corner(inputs[0].read(), inputs[1].read());
      EXPECT_NEAR(result.read()[0], direct, 1e-4) << name << " at offset " << off;
    }
    card.kernels->destroy(kernel);
  }
}

TEST_F(Cudnn, UnknownPlanIsNamed) {
  const Case c = convolution();
  const bp_op op = make_op(c, program);
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  Card& card = card_under_test();
  EXPECT_EQ(card.kernels->prepare(card.device, &op, "cudnn@eng=99", &kernel, nullptr, &error), BP_E_NOT_FOUND);
  EXPECT_NE(std::string(error.message).find("cudnn@eng=99"), std::string::npos) << error.message;
}

/// Both directions with every variant, on a real GPU too: the cards' suite has no halves without a mask.
TEST_F(CardTest, HalfAttentionWithEveryVariant) {
  struct Row {
    uint32_t dtype, causal;
    int64_t keys, width;
  };
  // 72 keys: the 40 queries are at the end of them.
  for (const auto& [dtype, causal, keys, width] : {Row{BP_BF16, 1, 72, 128}, {BP_BF16, 1, 40, 64}, {BP_F16, 0, 72, 64}}) {
    const bp_attention_attrs attrs{sizeof(attrs), causal, 0.125};
    const auto value = [](size_t input, int64_t at) {  // of the output's gradient, q, k and v
      return std::cos(static_cast<double>((at + 1) * (static_cast<int64_t>(input) + 3) % 1009));
    };
    Case forward = attention(attrs, dtype, 40, keys, width);
    forward.value = [&](size_t input, int64_t at) { return value(input + 1, at); };
    compare(forward);
    const std::vector<std::vector<double>> made = on_reference(forward);
    Case g = forward;
    g.name = "gradient of attention";
    g.code = BP_OP_ATTENTION_GRAD;
    g.in = {forward.out[0], forward.in[0], forward.in[1], forward.in[2], forward.out[0], forward.out[1]};
    g.out = {forward.in[0], forward.in[1], forward.in[2]};
    g.value = [&](size_t input, int64_t at) {
      return input < 4 ? value(input, at) : made[input - 4][static_cast<size_t>(at)];
    };
    g.bound.terms = static_cast<double>(forward.in[0].shape[2] * 4), g.bound.floor = 8;
    compare(g);
  }
}

/// In a process of its own, since the library is looked for once.
TEST_F(Cudnn, WithoutItTheCardSaysSo) {
  std::map<std::string, std::string> settings = card_facts().settings;
  settings["cuda.cudnn"] = "/no/such/libcudnn.so.9";
  Card card(card_facts().plugin, settings);
  bp_device_info info{};
  info.size = sizeof(info);
  uint32_t count = 0;
  ASSERT_GE(card.api->devices(card.plugin, &info, sizeof(info), 1, &count, nullptr), BP_OK);
  EXPECT_NE(std::string(info.driver).find("no cuDNN"), std::string::npos) << info.driver;
  EXPECT_TRUE(std::any_of(card.log.begin(), card.log.end(), [](const std::string& line) {
    return line.find("no cuDNN (libcudnn.so.9)") != std::string::npos;
  }));
  const Case c = convolution();
  const std::vector<bp_variant> variants = card.variants(make_op(c, program));
  EXPECT_FALSE(variants.empty()) << "Backplane's own kernels remain";
  for (const bp_variant& v : variants) EXPECT_FALSE(std::string(v.name).starts_with("cudnn@")) << v.name;
}

}  // namespace
}  // namespace card_test
