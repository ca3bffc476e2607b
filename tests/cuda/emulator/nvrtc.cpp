// SPDX-License-Identifier: Apache-2.0
// NVRTC's functions, by the C++ compiler of this build: kernel text becomes a shared library, whose bytes are the "cubin".
#include <fcntl.h>
#include <nvrtc.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

extern char** environ;

struct _nvrtcProgram {
  std::string text, log, code;
};

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

int run(std::vector<std::string> command, const std::string& output) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child = 0;
  int status = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) return status;
  return waitpid(child, &status, 0) == child ? status : -1;
}

/// Where the code of a text is kept between processes, or empty: every test is a process, and compiling takes long.
std::string kept_as(const std::string& text) {
  const char* folder = std::getenv("CUDA_EMULATOR_CACHE");
  if (folder == nullptr) return {};
  static const std::string headers = read_file(EMULATOR_FOLDER "/device.h") + read_file(EMULATOR_FOLDER "/device_types.h") +
                                     read_file(EMULATOR_FOLDER "/entry.h") + EMULATOR_COMPILER;
  mkdir(folder, 0700);
  return std::string(folder) + "/" + std::to_string(std::hash<std::string>{}(headers + text)) + ".so";
}

}  // namespace

extern "C" {

nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = 13, *minor = 0;
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
  *count = 1;
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetSupportedArchs(int* architectures) {
  architectures[0] = 90;
  return NVRTC_SUCCESS;
}
const char* nvrtcGetErrorString(nvrtcResult code) { return code == NVRTC_SUCCESS ? "success" : "emulated failure"; }

nvrtcResult nvrtcCreateProgram(nvrtcProgram* out, const char* text, const char*, int, const char* const*,
                               const char* const*) {
  *out = new _nvrtcProgram{text, {}, {}};
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int, const char* const*) {
  const std::string kept = kept_as(program->text);
  if (!kept.empty() && !(program->code = read_file(kept)).empty()) return NVRTC_SUCCESS;
  char folder[] = "/tmp/backplane-emulated-XXXXXX";
  if (mkdtemp(folder) == nullptr) return NVRTC_ERROR_OUT_OF_MEMORY;
  const std::string base = std::string(folder) + "/kernel", source = base + ".cpp", code = base + ".so", log = base + ".log";
  std::ofstream(source) << program->text << "\n#include \"entry.h\"\n";
  const int status = run({EMULATOR_COMPILER, "-std=c++17", "-O1", "-ffp-contract=off", "-fno-exceptions", "-w", "-shared", "-fPIC",
                          "-nostdlib", "-I", EMULATOR_FOLDER, "-include", "device.h", source, "-o", code, "-lm", "-lgcc"},
                         log);
  program->log = read_file(log);
  program->code = read_file(code);
  for (const std::string& path : {source, code, log}) unlink(path.c_str());
  rmdir(folder);
  if (status != 0 || program->code.empty()) return NVRTC_ERROR_COMPILATION;
  if (!kept.empty()) {
    const std::string part = kept + "." + std::to_string(getpid());
    std::ofstream(part, std::ios::binary) << program->code;
    std::rename(part.c_str(), kept.c_str());
  }
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* bytes) {
  *bytes = program->code.size();
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* code) {
  std::memcpy(code, program->code.data(), program->code.size());
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetPTXSize(nvrtcProgram, size_t*) { return NVRTC_ERROR_INVALID_INPUT; }
nvrtcResult nvrtcGetPTX(nvrtcProgram, char*) { return NVRTC_ERROR_INVALID_INPUT; }
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* bytes) {
  *bytes = program->log.size() + 1;
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return NVRTC_SUCCESS;
}

}  // extern "C"
