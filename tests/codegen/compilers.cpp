// SPDX-License-Identifier: Apache-2.0
#include "compilers.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <type_traits>

#ifdef BACKPLANE_HAS_OPENCL
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#endif

namespace codegen_test {
namespace {

class OpenClCompiler final : public Compiler {
#ifdef BACKPLANE_HAS_OPENCL
 public:
  OpenClCompiler() {
    cl_platform_id platform = nullptr;
    cl_uint platforms = 0;
    if (clGetPlatformIDs(1, &platform, &platforms) != CL_SUCCESS || platforms == 0) return;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr) != CL_SUCCESS) return;
    context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, nullptr);
  }
  ~OpenClCompiler() override {
    if (context_ != nullptr) clReleaseContext(context_);
  }
  std::string unavailable() const override { return context_ != nullptr ? "" : "no OpenCL device"; }
  std::string errors_in(const std::string& text) override {
    const char* data = text.c_str();
    cl_program program = clCreateProgramWithSource(context_, 1, &data, nullptr, nullptr);
    if (program == nullptr) return "clCreateProgramWithSource failed";
    std::string log;
    if (clBuildProgram(program, 1, &device_, "-cl-std=CL1.2 -w", nullptr, nullptr) != CL_SUCCESS) {
      log.resize(20000);
      clGetProgramBuildInfo(program, device_, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), nullptr);
      log = "clBuildProgram failed: " + std::string(log.c_str());
    }
    clReleaseProgram(program);
    return log;
  }

 private:
  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
#else
 public:
  std::string unavailable() const override { return "built without OpenCL"; }
  std::string errors_in(const std::string&) override { return unavailable(); }
#endif
};

class GlslCompiler final : public Compiler {
 public:
  GlslCompiler()
      : folder_(std::filesystem::temp_directory_path() / ("backplane-glsl-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(folder_);
  }
  ~GlslCompiler() override { std::filesystem::remove_all(folder_); }
  std::string unavailable() const override { return *GLSLC != '\0' ? "" : "glslc was not found"; }
  std::string errors_in(const std::string& text) override {
    const auto file = [&](const char* name) { return (folder_ / name).string(); };
    std::ofstream(file("kernel.comp")) << text;
    std::string command = GLSLC " --target-env=vulkan1.2 -o " + file("kernel.spv") + " " + file("kernel.comp");
    if (*SPIRV_VAL != '\0') command += " && " SPIRV_VAL " --target-env vulkan1.2 " + file("kernel.spv");
    if (std::system(("( " + command + " ) > " + file("log") + " 2>&1").c_str()) == 0) return "";
    std::ifstream log(file("log"));
    std::string messages = "glslc or spirv-val refused it:\n", line;
    for (int i = 0; i < 10 && std::getline(log, line); ++i) messages += line + "\n";
    return messages;
  }

 private:
  std::filesystem::path folder_;
};

class CudaCompiler final : public Compiler {
 public:
  explicit CudaCompiler(const std::string& architecture) : option_("--gpu-architecture=" + architecture) {
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NVRTC}) {
      if (library_ == nullptr && *name != '\0') library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (library_ == nullptr) return;
    const auto bind = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library_, name));
      complete_ = complete_ && function != nullptr;
    };
    complete_ = true;
    bind(create_, "nvrtcCreateProgram");
    bind(compile_, "nvrtcCompileProgram");
    bind(destroy_, "nvrtcDestroyProgram");
    bind(log_size_, "nvrtcGetProgramLogSize");
    bind(log_, "nvrtcGetProgramLog");
  }
  std::string unavailable() const override { return complete_ ? "" : "NVRTC was not found"; }
  std::string errors_in(const std::string& text) override {
    void* program = nullptr;
    if (create_(&program, text.c_str(), "kernel.cu", 0, nullptr, nullptr) != 0) return "nvrtcCreateProgram failed";
    const char* options[] = {option_.c_str(), "--std=c++17"};
    std::string errors;
    if (compile_(program, 2, options) != 0) {
      size_t bytes = 0;
      log_size_(program, &bytes);
      std::string log(bytes, '\0');
      log_(program, log.data());
      errors = "NVRTC refused it: " + log.substr(0, 2000);
    }
    destroy_(&program);
    return errors;
  }

 private:
  void* library_ = nullptr;  // stays open: NVRTC does not like to be closed
  bool complete_ = false;
  std::string option_;
  // As nvrtc.h declares them; the header need not be there.
  int (*create_)(void**, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*compile_)(void*, int, const char* const*) = nullptr;
  int (*destroy_)(void**) = nullptr;
  int (*log_size_)(void*, size_t*) = nullptr;
  int (*log_)(void*, char*) = nullptr;
};

}  // namespace

std::unique_ptr<Compiler> opencl_compiler() { return std::make_unique<OpenClCompiler>(); }
std::unique_ptr<Compiler> glsl_compiler() { return std::make_unique<GlslCompiler>(); }
std::unique_ptr<Compiler> cuda_compiler(const std::string& architecture) {
  return std::make_unique<CudaCompiler>(architecture);
}

}  // namespace codegen_test
