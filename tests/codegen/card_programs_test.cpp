// SPDX-License-Identifier: Apache-2.0
// Random scalar programs on a card, through the C ABI, against the interpreter of the SDK: every value that a program
// computes exactly has to come out to the bit, others within the bounds of OPERATIONS.md. Zeros may differ in sign and
// subnormal numbers may be flushed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backplane/sdk/program.hpp"
#include "backplane/sdk/scalar.h"
#include "cards/compare.h"
#include "codegen/random_program.h"

namespace codegen_test {
namespace {

using namespace card_test;

constexpr int kElements = 127;  // one block of the interpreter, and not a multiple of anything

double random_value(std::mt19937& random, uint32_t dtype) {
  constexpr double kSpecial[] = {0,     -0.0,  1,     -1,           2,             0.5, INFINITY, -INFINITY,
                                 NAN,   65504, 3e38,  2147483647.0, -2147483648.0, 33,  1e-30};
  const bool special = random() % 4 == 0;
  const double value = special ? kSpecial[random() % std::size(kSpecial)]
                               : std::uniform_real_distribution<double>(-6, 6)(random);
  if (backplane::sdk::is_float(dtype)) return value;
  if (dtype == BP_BOOL) return value > 0;
  return std::isfinite(value) ? std::trunc(std::clamp(value * (special ? 1 : 20), -2147483648.0, 2147483647.0)) : 5;
}

double value_of(uint32_t dtype, const bp_sdk_block& block, int i) {
  switch (dtype) {
    case BP_F64: return block.f64[i];
    case BP_I32: return block.i32[i];
    case BP_I64: return static_cast<double>(block.i64[i]);
    case BP_BOOL: return block.u8[i];
    default: return static_cast<double>(block.f32[i]);
  }
}

void set_value(uint32_t dtype, bp_sdk_block& block, int i, const char* at) {
  switch (dtype) {
    case BP_F64: std::memcpy(&block.f64[i], at, 8); break;
    case BP_I32: std::memcpy(&block.i32[i], at, 4); break;
    case BP_I64: std::memcpy(&block.i64[i], at, 8); break;
    case BP_BOOL: block.u8[i] = *at != 0; break;
    default: block.f32[i] = static_cast<float>(read_element(dtype, at)); break;
  }
}

/// Units in the last place of `dtype` between two values; subnormals count as zero.
double distance(uint32_t dtype, double ours, double theirs) {
  if (std::isnan(ours) || std::isnan(theirs)) return std::isnan(ours) == std::isnan(theirs) ? 0 : INFINITY;
  if (ours == theirs) return 0;
  if (!backplane::sdk::is_float(dtype)) return INFINITY;
  const double least = dtype == BP_F64 ? 0x1p-1022 : dtype == BP_F16 ? 0x1p-14 : 0x1p-126;
  const int digits = dtype == BP_F64 ? 53 : dtype == BP_F32 ? 24 : dtype == BP_F16 ? 11 : 8;
  if (dtype != BP_F16 && std::fabs(ours) < least && std::fabs(theirs) < least) return 0;
  const double largest = dtype == BP_F64 ? 1.797e308 : dtype == BP_F16 ? 65500 : 3.38e38;
  if (std::fabs(ours) > largest && std::fabs(theirs) > largest && (ours > 0) == (theirs > 0)) return 1;  // the edge
  int exponent = 0;
  std::frexp(std::max(std::fabs(theirs), least), &exponent);
  return std::fabs(ours - theirs) / std::ldexp(1.0, exponent - digits);
}

std::string describe(const RandomProgram& program) {
  std::string text;
  for (size_t i = 0; i < program.instrs.size(); ++i) {
    const bp_instr& instr = program.instrs[i];
    text += "\n  " + std::to_string(program.input_dtypes.size() + i) + ": " + backplane::sdk::dtype_name(instr.dtype) + " " +
            backplane::sdk::scalar_op(instr.code)->name + " " + std::to_string(instr.a) + " " + std::to_string(instr.b) +
            " " + std::to_string(instr.c);
  }
  return text;
}

/// Runs the program with one variant and compares all its outputs.
void compare_variant(Card& card, const RandomProgram& program, const bp_op& op, const char* variant, std::mt19937& random) {
  std::vector<bp_sdk_block> values(BP_SDK_MAX_VALUES);
  std::vector<std::unique_ptr<Guarded>> buffers;
  std::vector<bp_view> in, out;
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    Storage storage(op.inputs[i]);
    storage.write([&](int64_t) { return random_value(random, op.inputs[i].dtype); });
    const uint32_t size = element_size(op.inputs[i].dtype);
    for (int e = 0; e < kElements; ++e) {
      set_value(op.inputs[i].dtype, values[i], e, storage.bytes.data() + storage.origin + static_cast<size_t>(e) * size);
    }
    buffers.push_back(std::make_unique<Guarded>(card, storage.bytes.data(), storage.bytes.size()));
    in.push_back(buffers.back()->view(storage.origin));
  }
  for (uint32_t j = 0; j < op.num_outputs; ++j) {
    buffers.push_back(std::make_unique<Guarded>(card, nullptr, kElements * uint64_t{element_size(op.outputs[j].dtype)}));
    out.push_back(buffers.back()->view(0));
  }
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  ASSERT_EQ(card.kernels->prepare(card.device, &op, variant, &kernel, nullptr, &error), BP_OK)
      << error.message << describe(program);
  ASSERT_EQ(card.kernels->enqueue(card.queue, kernel, in.data(), out.data(), bp_view{}, &error), BP_OK) << error.message;
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK) << error.message;
  card.kernels->destroy(kernel);

  bp_sdk_run(op.program, program.dtypes.data(), values.data(), kElements);
  for (uint32_t j = 0; j < op.num_outputs; ++j) {
    const uint16_t value = program.outputs[j];
    const uint32_t dtype = program.dtypes[value];
    const std::vector<char> bytes = buffers[op.num_inputs + j]->contents();
    for (int e = 0; e < kElements; ++e) {
      const double ours = read_element(dtype, bytes.data() + static_cast<size_t>(e) * element_size(dtype));
      const double theirs = value_of(dtype, values[value], e);
      ASSERT_LE(distance(dtype, ours, theirs), program.ulps[value])
          << variant << ": value " << value << " of element " << e << " is " << ours << ", the interpreter's " << theirs
          << describe(program);
    }
  }
}

TEST(RandomPrograms, AsTheInterpreter) {
  Card& card = card_under_test();
  std::mt19937 random(20240607);
  int compared = 0, declined = 0;
  std::string reason;
  for (int round = 0; round < 24; ++round) {
    const RandomProgram program = random_program(
        random, {.instructions = 20, .inputs = 6, .outputs = 8, .functions_of_f64 = round % 8 == 7});
    std::vector<bp_tensor_desc> inputs, outputs;
    for (const uint32_t dtype : program.input_dtypes) inputs.push_back(lay_out(dtype, {kElements}));
    for (const uint16_t value : program.outputs) outputs.push_back(lay_out(program.dtypes[value], {kElements}));
    const bp_program view = program.view();
    bp_op op{};
    op.size = sizeof(op);
    op.code = BP_OP_POINTWISE;
    op.name = "random program";
    op.inputs = inputs.data(), op.num_inputs = static_cast<uint32_t>(inputs.size());
    op.outputs = outputs.data(), op.num_outputs = static_cast<uint32_t>(outputs.size());
    op.program = &view;
    op.max_workspace = UINT64_MAX;
    const bp_support support = card.query(op);
    if (support.verdict != BP_SUPPORT_YES) {
      ++declined;
      reason = support.reason;
      continue;
    }
    ++compared;
    const std::vector<bp_variant> variants = card.variants(op);
    for (size_t v = 0; v < (round % 8 == 0 ? variants.size() : 1); ++v) {
      compare_variant(card, program, op, variants[v].name, random);
      if (HasFatalFailure()) return;
    }
  }
  std::printf("%d programs compared, %d declined by the card%s%s\n", compared, declined, declined != 0 ? ": " : "",
              reason.c_str());
  EXPECT_GE(compared, 18);
}

}  // namespace
}  // namespace codegen_test
