// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

#include <dlfcn.h>

#include <mutex>
#include <string>

#include "backplane/sdk/error.hpp"

namespace backplane::opencl {
namespace {

constexpr const char* kLibrary = "libOpenCL.so.1";

struct Loaded {
  Api api;
  std::string problem;
};

Loaded load() {
  Loaded loaded;
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    loaded.problem = std::string("no OpenCL loader (") + kLibrary + "): " + (why != nullptr ? why : "unknown reason") +
                     "; install one, for example ocl-icd-libopencl1";
    return loaded;
  }
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr && loaded.problem.empty()) {
      loaded.problem = std::string("the OpenCL loader (") + kLibrary + ") has no " + name + "; OpenCL 1.2 is needed";
    }
  };
#define BP_CL_FIND(name) find(loaded.api.name, "cl" #name);
  BP_CL_FUNCTIONS(BP_CL_FIND)
#undef BP_CL_FIND
  return loaded;
}

}  // namespace

const Api& cl() {
  static const Loaded loaded = load();
  if (!loaded.problem.empty()) [[unlikely]] throw sdk::Failure(BP_E_UNAVAILABLE, loaded.problem);
  return loaded.api;
}

}  // namespace backplane::opencl
