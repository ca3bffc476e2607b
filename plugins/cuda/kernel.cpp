// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "backplane/devicekit/blob.h"

namespace backplane::cuda {
namespace {

constexpr size_t kMostArguments = 1024;  // DeviceFacts: 2 for each buffer, and words

uint64_t since(std::chrono::steady_clock::time_point start) {
  const auto spent = std::chrono::steady_clock::now() - start;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) + 1;
}

CUdeviceptr address_of(const codegen::Slot& slot, const Operands& operands) {
  using From = codegen::Slot::From;
  const bp_view& view = slot.from == From::input    ? operands.inputs[slot.index]
                        : slot.from == From::output ? operands.outputs[slot.index]
                                                    : operands.workspace;
  const CUdeviceptr address = cuda::address_of(view);
  return address == 0 ? 0 : address + slot.offset;
}

}  // namespace

CUdeviceptr address_of(const bp_view& view) {
  const auto* buffer = reinterpret_cast<const Buffer*>(view.buffer);
  return buffer == nullptr ? 0 : buffer->address + view.offset;  // none: an operand without elements
}

Program::~Program() {
  if (module_ == nullptr) return;
  const Current current(context_);
  cu().ModuleUnload(module_);
}

Programs::Programs(const sdk::Host& host, const Compiler& compiler, int major, int minor)
    : host_(host), compiler_(compiler), major_(major), minor_(minor),
      toolchain_(devicekit::digest(compiler.version() + " sm_" + std::to_string(10 * major + minor))) {}

std::shared_ptr<const Program> Programs::get(const std::string& name, const std::string& text, uint64_t* build_ns) {
  const devicekit::Digest digest = devicekit::digest(text);
  const std::shared_ptr<Program> program = programs_.get(digest);
  std::lock_guard<std::mutex> lock(program->mutex_);
  if (program->module_ != nullptr) return program;
  const std::string key = "cuda/" + digest.hex() + toolchain_.hex();
  const auto load = [&](const void* image) {
    program->context_ = current_context();
    const CUresult code = cu().ModuleLoadData(&program->module_, image);
    if (code == CUDA_SUCCESS) check(cu().ModuleGetFunction(&program->function_, program->module_, "bp_main"), "cuModuleGetFunction");
    return code;
  };
  if (const auto blob = devicekit::load_blob(host_, key, toolchain_); blob && load(blob->data()) == CUDA_SUCCESS) {
    return program;
  }
  const auto start = std::chrono::steady_clock::now();
  const std::vector<char> image = compiler_.compile(name, text, major_, minor_);
  check(load(image.data()), "cuModuleLoadData");
  *build_ns += since(start);
  devicekit::store_blob(host_, key, toolchain_, image.data(), image.size());
  return program;
}

Launch::Launch(codegen::Launch launch, Programs& programs, std::shared_ptr<devicekit::Pool> memory, uint64_t* build_ns)
    : program_(programs.get(launch.name, launch.source, build_ns)), slots_(std::move(launch.slots)), group_(launch.group), grid_(launch.grid) {
  sdk::copy_text(name_.text, sizeof(name_.text), launch.name);
  if (!launch.aligned_source.empty()) aligned_ = programs.get(launch.name + " (aligned)", launch.aligned_source, build_ns);
  if (launch.words_in_buffer) {
    // The device reads page-locked memory in place; words are few.
    const uint64_t bytes = launch.words.size() * sizeof(int32_t);
    word_buffer_ = std::make_unique<Buffer>(std::move(memory), bytes, BP_MEMORY_STAGING);
    std::memcpy(word_buffer_->host, launch.words.data(), bytes);
  } else {
    words_ = std::move(launch.words);
  }
  if (2 * slots_.size() + words_.size() + 1 > kMostArguments) {
    throw sdk::Failure(BP_E_INTERNAL, "internal: [cuda] kernel '" + launch.name + "' has too many arguments");
  }
}

CUresult Launch::enqueue(CUstream stream, const Operands& operands) const {
  CUdeviceptr addresses[kMostArguments / 2];
  void* arguments[kMostArguments];
  static int32_t no_offset = 0;  // addresses are those of the views themselves
  const size_t buffers = slots_.size();
  CUdeviceptr all = 0;
  for (size_t i = 0; i < buffers; ++i) {
    all |= addresses[i] = address_of(slots_[i], operands);
    arguments[i] = &addresses[i];
    arguments[buffers + i] = &no_offset;
  }
  CUdeviceptr words = 0;
  size_t at = 2 * buffers;
  if (word_buffer_ != nullptr) {
    words = word_buffer_->address;
    arguments[at++] = &words;
  }
  for (const int32_t& word : words_) arguments[at++] = const_cast<int32_t*>(&word);
  const Program& program = aligned_ != nullptr && all % 16 == 0 ? *aligned_ : *program_;
  return cu().LaunchKernel(program.function(), grid_[0], grid_[1], grid_[2], group_[0], group_[1], group_[2], 0, stream,
                           arguments, nullptr);
}

CUresult Epilogue::enqueue(CUstream stream, const Operands& operands) const {
  bp_view inputs[BP_PROGRAM_MAX_INPUTS];
  inputs[0] = out_of_workspace_ ? operands.workspace : operands.outputs[0];
  std::copy_n(operands.inputs + first_extra_, num_inputs_ - 1, inputs + 1);
  return launch_->enqueue(stream, {inputs, operands.outputs, {}});
}

CUresult ByAlignment::enqueue(CUstream stream, const Operands& operands) const {
  CUdeviceptr all = 0;
  for (size_t i = 0; i < num_inputs_; ++i) all |= address_of(operands.inputs[i]);
  for (size_t i = 0; i < num_outputs_; ++i) all |= address_of(operands.outputs[i]);
  for (const auto& step : all % alignment_ == 0 ? aligned_ : any_) {
    if (const CUresult code = step->enqueue(stream, operands); code != CUDA_SUCCESS) return code;
  }
  return CUDA_SUCCESS;
}

}  // namespace backplane::cuda
