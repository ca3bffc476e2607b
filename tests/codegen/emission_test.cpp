// SPDX-License-Identifier: Apache-2.0
// A thousand random scalar programs per dialect, as text that the dialect's own compiler has to accept: OpenCL C by the
// first OpenCL device there is, GLSL by glslc, CUDA C++ by NVRTC.
#include <gtest/gtest.h>

#include "backplane/sdk/program.hpp"
#include "codegen/random_program.h"
#include "compilers.h"
#include "program_text.h"
#include "source.h"

namespace codegen_test {
namespace {

using namespace backplane::codegen;
constexpr int kBatches = 20, kPerBatch = 50;

DeviceFacts facts_of(Dialect dialect, bool cpu_like) {
  DeviceFacts facts;
  facts.dialect = dialect;
  facts.cpu_like = cpu_like;
  facts.f16_storage = facts.bf16_storage = facts.bool_storage = facts.f64 = facts.i64 = true;
  facts.max_group_size = 64;
  facts.max_buffers = 16;
  return facts;
}

/// One kernel that runs `kPerBatch` programs on the same operands, one after the other.
std::string batch(const DeviceFacts& facts, std::mt19937& random) {
  Source source(facts, "programs");
  bp_tensor_desc desc{};
  desc.rank = 1, desc.shape[0] = 64, desc.strides[0] = 1;
  for (desc.dtype = BP_F32; desc.dtype <= BP_F8_E5M2; ++desc.dtype) {
    source.input(std::string("in_") + backplane::sdk::dtype_name(desc.dtype), desc.dtype, desc);
    source.output(std::string("out_") + backplane::sdk::dtype_name(desc.dtype), desc.dtype, desc);
  }
  std::string body = "KERNEL_BEGIN\n  int i = LINEAR_ID();\n";
  for (int p = 0; p < kPerBatch; ++p) {
    const RandomProgram program =
        random_program(random, {.instructions = 12, .functions_of_f64 = facts.dialect != Dialect::glsl});
    const bp_program view = program.view();
    EXPECT_EQ(refuse_program(view, program.input_dtypes.data(), facts), "");
    std::vector<std::string> loads;
    for (const uint32_t dtype : program.input_dtypes) {
      loads.push_back(std::string("LOAD_in_") + backplane::sdk::dtype_name(dtype) + "(i)");
    }
    const ProgramText text = program_text(source, view, program.input_dtypes.data(), loads);
    const uint32_t result = program.dtypes[program.outputs[0]];
    body += "  { NO_CONTRACT " + text.statements + "STORE_out_" + backplane::sdk::dtype_name(result) + "(i, " +
            text.outputs[0] + "); }\n";
  }
  return source.finish(body + "KERNEL_END\n", {64, 1, 1}, {1, 1, 1}).source;
}

void expect_accepted(const DeviceFacts& facts, Compiler& compiler, uint32_t seed) {
  if (const std::string reason = compiler.unavailable(); !reason.empty()) GTEST_SKIP() << reason;
  std::mt19937 random(seed);
  for (int b = 0; b < kBatches; ++b) {
    const std::string text = batch(facts, random);
    // Marks that are left over would be instructions that nobody spelt out.
    for (const char* mark : {"$a", "$b", "$c", "$t", "$i", "$u"}) EXPECT_EQ(text.find(mark), std::string::npos) << mark;
    ASSERT_EQ(compiler.errors_in(text), "") << "batch " << b;
  }
}

TEST(Emission, OpenClCompiles) {
  expect_accepted(facts_of(Dialect::opencl_c, false), *opencl_compiler(), 7);
}
TEST(Emission, OpenClForCpuCoresCompiles) {
  expect_accepted(facts_of(Dialect::opencl_c, true), *opencl_compiler(), 10);
}
TEST(Emission, GlslCompiles) { expect_accepted(facts_of(Dialect::glsl, true), *glsl_compiler(), 8); }
TEST(Emission, CudaCompilesForSm80) { expect_accepted(facts_of(Dialect::cuda, false), *cuda_compiler("sm_80"), 9); }
TEST(Emission, CudaCompilesForSm90) {
  expect_accepted(facts_of(Dialect::cuda, false), *cuda_compiler("sm_90"), 11);
}

}  // namespace
}  // namespace codegen_test
