// SPDX-License-Identifier: Apache-2.0
#include "compiler.h"

#include <dlfcn.h>
#include <nvrtc.h>

#include <algorithm>
#include <memory>

#include "driver.h"

namespace backplane::cuda {

#define BACKPLANE_NVRTC_CALLS(X)                                                                                \
  X(Version) X(GetNumSupportedArchs) X(GetSupportedArchs) X(GetErrorString) X(CreateProgram) X(DestroyProgram)  \
  X(CompileProgram) X(GetCUBINSize) X(GetCUBIN) X(GetPTXSize) X(GetPTX) X(GetProgramLogSize) X(GetProgramLog)

struct Compiler::Api {
#define X(name) decltype(&::nvrtc##name) name = nullptr;
  BACKPLANE_NVRTC_CALLS(X)
#undef X
};

namespace {

constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

void* open_nvrtc(const sdk::Host& host, std::string& problem) {
  if (const auto path = host.config("cuda.nvrtc")) return open_library(path->c_str(), problem);
  for (const char* name : kNames) {
    std::string why;
    if (void* library = open_library(name, why)) return library;
    if (problem.empty()) problem = why;
  }
  return nullptr;
}

}  // namespace

Compiler::Compiler(const sdk::Host& host) {
  std::string why;
  void* library = open_nvrtc(host, why);
  if (library == nullptr) {
    problem_ = "no run-time compiler (libnvrtc.so): " + why + "; install the CUDA toolkit's NVRTC, or name it by cuda.nvrtc";
    return;
  }
  static Api api;  // every Compiler of a process opens the same library
#define X(name)                                                                                      \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "nvrtc" #name));                    \
  if (api.name == nullptr) {                                                                         \
    problem_ = "libnvrtc.so has no nvrtc" #name "; install a newer CUDA toolkit";                    \
    return;                                                                                          \
  }
  BACKPLANE_NVRTC_CALLS(X)
#undef X
  int major = 0, minor = 0, count = 0;
  api.Version(&major, &minor);
  version_ = "nvrtc " + std::to_string(major) + "." + std::to_string(minor);
  if (api.GetNumSupportedArchs(&count) == NVRTC_SUCCESS && count > 0) {
    architectures_.resize(static_cast<size_t>(count));
    api.GetSupportedArchs(architectures_.data());
  }
  api_ = &api;
}

std::vector<char> Compiler::compile(const std::string& name, const std::string& text, int major, int minor) const {
  if (api_ == nullptr) throw sdk::Failure(BP_E_COMPILE, "[cuda] kernel '" + name + "' cannot be compiled: " + problem_);
  const auto check = [&](nvrtcResult code, const char* what) {
    if (code != NVRTC_SUCCESS) {
      throw sdk::Failure(BP_E_COMPILE, "[cuda] kernel '" + name + "': " + what + " failed: " + api_->GetErrorString(code),
                         BP_SCOPE_CALL, 0, "nvrtc", code);
    }
  };
  int target = 10 * major + minor;
  const bool known = std::find(architectures_.begin(), architectures_.end(), target) != architectures_.end();
  if (!known) {
    int best = 0;
    for (const int candidate : architectures_) best = candidate < target ? std::max(best, candidate) : best;
    if (best == 0) check(NVRTC_ERROR_INVALID_OPTION, ("compiling for sm_" + std::to_string(target)).c_str());
    target = best;
  }
  nvrtcProgram program = nullptr;
  check(api_->CreateProgram(&program, text.c_str(), (name + ".cu").c_str(), 0, nullptr, nullptr), "nvrtcCreateProgram");
  const auto destroy = [&](nvrtcProgram* p) { api_->DestroyProgram(p); };
  const std::unique_ptr<nvrtcProgram, decltype(destroy)> owner(&program, destroy);
  const std::string architecture =
      std::string("--gpu-architecture=") + (known ? "sm_" : "compute_") + std::to_string(target);
  const char* options[] = {architecture.c_str(), "--std=c++17"};
  if (const nvrtcResult code = api_->CompileProgram(program, 2, options); code != NVRTC_SUCCESS) {
    size_t bytes = 0;
    std::string log;
    if (api_->GetProgramLogSize(program, &bytes) == NVRTC_SUCCESS && bytes != 0) {
      log.resize(bytes);
      api_->GetProgramLog(program, log.data());
      log.resize(bytes - 1);
    }
    throw sdk::Failure(BP_E_COMPILE, "internal: [cuda] kernel '" + name + "' does not compile: " + log, BP_SCOPE_CALL, 0,
                       "nvrtc", code);
  }
  size_t bytes = 0;
  std::vector<char> code;
  check(known ? api_->GetCUBINSize(program, &bytes) : api_->GetPTXSize(program, &bytes), "asking for the code's size");
  code.resize(bytes);
  check(known ? api_->GetCUBIN(program, code.data()) : api_->GetPTX(program, code.data()), "asking for the code");
  return code;
}

}  // namespace backplane::cuda
