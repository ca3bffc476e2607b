// SPDX-License-Identifier: Apache-2.0
// A thousand random scalar programs per dialect, as text that the dialect's own compiler has to accept: OpenCL C by the
// first OpenCL device there is, GLSL by glslc. CUDA C++ has no compiler here: its text is made and looked at only.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#ifdef BACKPLANE_HAS_OPENCL
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#endif

#include "backplane/sdk/program.hpp"
#include "codegen/random_program.h"
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
  for (desc.dtype = BP_F32; desc.dtype <= BP_BOOL; ++desc.dtype) {
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

TEST(Emission, OpenClCompiles) {
#ifdef BACKPLANE_HAS_OPENCL
  cl_uint platforms = 0;
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  if (clGetPlatformIDs(1, &platform, &platforms) != CL_SUCCESS || platforms == 0 ||
      clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) != CL_SUCCESS) {
    GTEST_SKIP() << "no OpenCL device";
  }
  cl_int status = 0;
  cl_context context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status);
  ASSERT_EQ(status, CL_SUCCESS);
  std::mt19937 random(7);
  for (int b = 0; b < kBatches; ++b) {
    const std::string text = batch(facts_of(Dialect::opencl_c, b % 2 == 0), random);
    const char* data = text.c_str();
    cl_program program = clCreateProgramWithSource(context, 1, &data, nullptr, &status);
    if (clBuildProgram(program, 1, &device, "-cl-std=CL1.2 -w", nullptr, nullptr) != CL_SUCCESS) {
      std::string log(20000, '\0');
      clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), nullptr);
      ADD_FAILURE() << "batch " << b << ": " << log.c_str();
      break;
    }
    clReleaseProgram(program);
  }
  clReleaseContext(context);
#else
  GTEST_SKIP() << "built without OpenCL";
#endif
}

TEST(Emission, GlslCompiles) {
  const std::string compiler = GLSLC;
  if (compiler.empty()) GTEST_SKIP() << "glslc was not found";
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("backplane-glsl-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::mt19937 random(8);
  for (int b = 0; b < kBatches && !HasFailure(); ++b) {
    std::ofstream(folder / "batch.comp") << batch(facts_of(Dialect::glsl, true), random);
    const std::string command = compiler + " --target-env=vulkan1.2 -o " + (folder / "batch.spv").string() + " " +
                                (folder / "batch.comp").string() + " 2> " + (folder / "log").string();
    if (std::system(command.c_str()) != 0) {
      std::ifstream log(folder / "log");
      std::string line, text;
      for (int i = 0; i < 10 && std::getline(log, line); ++i) text += line + "\n";
      ADD_FAILURE() << "batch " << b << ":\n" << text;
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(Emission, CudaTextIsMade) {
  std::mt19937 random(9);
  for (int b = 0; b < kBatches; ++b) {
    const std::string text = batch(facts_of(Dialect::cuda, false), random);
    EXPECT_NE(text.find("extern \"C\" __global__"), std::string::npos);
    // Marks that are left over would be instructions that nobody spelt out.
    for (const char* mark : {"$a", "$b", "$c", "$t", "$i", "$u"}) EXPECT_EQ(text.find(mark), std::string::npos) << mark;
  }
}

}  // namespace
}  // namespace codegen_test
