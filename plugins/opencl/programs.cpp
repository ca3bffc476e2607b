// SPDX-License-Identifier: Apache-2.0
#include "programs.h"

#include <chrono>
#include <cstring>
#include <vector>

#include "backplane/devicekit/blob.h"
#include "status.h"

namespace backplane::opencl {
namespace {

uint64_t since(std::chrono::steady_clock::time_point start) {
  const auto spent = std::chrono::steady_clock::now() - start;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) + 1;
}

}  // namespace

Program::~Program() {
  if (program_ != nullptr) cl().ReleaseProgram(program_);
}

Programs::Programs(const sdk::Host& host, const DeviceEntry& entry, cl_context context)
    : host_(host), entry_(entry), context_(context),
      toolchain_(devicekit::digest(entry.build_options + "\n//" + entry.toolchain)) {}

std::shared_ptr<Program> Programs::get(const std::string& name, const std::string& text, bool large_grid,
                                       const std::function<void(cl_program)>& launch_once, uint64_t* build_ns) {
  const bool lazy = entry_.facts.cpu_like;  // generates code at the first launch, for small and for large grids apart
  const std::string source = lazy && large_grid ? text + "// for large grids\n" : text;
  const devicekit::Digest digest = devicekit::digest(source);
  std::shared_ptr<Program> program = programs_.get(digest);
  std::lock_guard<std::mutex> lock(program->mutex_);
  if (program->program_ != nullptr) return program;
  const std::string key = "opencl/" + digest.hex() + toolchain_.hex();
  if (load(*program, key)) return program;
  const auto start = std::chrono::steady_clock::now();
  compile(*program, name, source);
  if (lazy) launch_once(program->program_);
  *build_ns += since(start);
  store(*program, key);
  return program;
}

void Programs::compile(Program& program, const std::string& name, const std::string& source) const {
  const char* text = source.c_str();
  const size_t length = source.size();
  cl_int code = CL_SUCCESS;
  const cl_program made = cl().CreateProgramWithSource(context_, 1, &text, &length, &code);
  check(code, "clCreateProgramWithSource");
  code = cl().BuildProgram(made, 1, &entry_.id, entry_.build_options.c_str(), nullptr, nullptr);
  if (code == CL_SUCCESS) {
    program.program_ = made;
    return;
  }
  const std::string log = build_log(made);
  cl().ReleaseProgram(made);
  host_.log(BP_LOG_DEBUG, "opencl.compiler", name + ": " + log + "\n" + source);
  throw sdk::Failure(BP_E_COMPILE, "[opencl] kernel '" + name + "' does not compile: " + log, BP_SCOPE_CALL, 0,
                     "opencl", code);
}

std::string Programs::build_log(cl_program program) const {
  size_t bytes = 0;
  cl().GetProgramBuildInfo(program, entry_.id, CL_PROGRAM_BUILD_LOG, 0, nullptr, &bytes);
  std::string log(bytes, '\0');
  cl().GetProgramBuildInfo(program, entry_.id, CL_PROGRAM_BUILD_LOG, bytes, log.data(), nullptr);
  log.resize(std::strlen(log.c_str()));
  return log;
}

bool Programs::load(Program& program, const std::string& key) const {
  const auto binary = devicekit::load_blob(host_, key, toolchain_);
  if (!binary) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(binary->data());
  const size_t length = binary->size();
  cl_int status = CL_SUCCESS, code = CL_SUCCESS;
  const cl_program made = cl().CreateProgramWithBinary(context_, 1, &entry_.id, &length, &bytes, &status, &code);
  if (code != CL_SUCCESS || status != CL_SUCCESS) return false;
  if (cl().BuildProgram(made, 1, &entry_.id, entry_.build_options.c_str(), nullptr, nullptr) != CL_SUCCESS) {
    cl().ReleaseProgram(made);
    return false;
  }
  program.program_ = made;
  return true;
}

void Programs::store(const Program& program, const std::string& key) const {
  if (!host_.has_cache()) return;  // asking for the binary makes some drivers compile once more
  size_t length = 0;
  if (cl().GetProgramInfo(program.program_, CL_PROGRAM_BINARY_SIZES, sizeof(length), &length, nullptr) != CL_SUCCESS ||
      length == 0) {
    return;
  }
  std::vector<unsigned char> bytes(length);
  unsigned char* binary = bytes.data();
  if (cl().GetProgramInfo(program.program_, CL_PROGRAM_BINARIES, sizeof(binary), &binary, nullptr) == CL_SUCCESS) {
    devicekit::store_blob(host_, key, toolchain_, binary, length);
  }
}

}  // namespace backplane::opencl
