// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <sys/mman.h>

#include <algorithm>
#include <string>

#include "memory.h"
#include "status.h"

namespace backplane::opencl {
namespace {

using codegen::Slot;

/// PoCL 3.1 compiles a kernel apart for grids whose extents, in work-items, stay below this ("smallgrid").
constexpr size_t kLargeGrid = 65535;

size_t work_items(const codegen::Launch& launch, size_t d) { return size_t{launch.group[d]} * launch.grid[d]; }

/// Zeroed host memory that costs nothing until it is touched, as an OpenCL buffer.
class Scratch {
 public:
  Scratch(cl_context context, uint64_t bytes) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED) {
      throw sdk::Failure(BP_E_OUT_OF_HOST_MEMORY, "[opencl] no address space to warm up a kernel");
    }
    cl_int code = CL_SUCCESS;
    memory_ = cl().CreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, data_, &code);
    if (code != CL_SUCCESS) munmap(data_, bytes_);
    check(code, "clCreateBuffer");
  }
  ~Scratch() {
    cl().ReleaseMemObject(memory_);
    munmap(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  cl_mem get() const { return memory_; }

 private:
  uint64_t bytes_;
  void* data_ = nullptr;
  cl_mem memory_ = nullptr;
};

}  // namespace

Launch::Launch(const codegen::Launch& launch, std::shared_ptr<Program> program, cl_context context)
    : program_(std::move(program)), slots_(launch.slots) {
  for (size_t d = 0; d < 3; ++d) {
    local_[d] = launch.group[d];
    global_[d] = work_items(launch, d);
  }
  first_.buffers.resize(slots_.size());
  first_.numbers.resize(slots_.size());
  if (!launch.words_in_buffer) {
    first_.numbers.insert(first_.numbers.end(), launch.words.begin(), launch.words.end());
  } else {
    cl_int code = CL_SUCCESS;
    std::vector<int32_t> words = launch.words;
    word_buffer_ = cl().CreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, words.size() * sizeof(int32_t),
                                     words.data(), &code);
    check(code, "clCreateBuffer");
  }
  kernel_ = make();
  now_ = first_;
}

Launch::~Launch() {
  if (kernel_ != nullptr) cl().ReleaseKernel(kernel_);
  if (word_buffer_ != nullptr) cl().ReleaseMemObject(word_buffer_);
}

cl_kernel Launch::make() const {
  cl_int code = CL_SUCCESS;
  std::unique_ptr<std::remove_pointer_t<cl_kernel>, cl_int (*)(cl_kernel)> kernel(
      cl().CreateKernel(program_->get(), "bp_main", &code), cl().ReleaseKernel);
  check(code, "clCreateKernel");
  cl_uint at = 0;
  const auto set = [&](size_t bytes, const void* value) {
    check(cl().SetKernelArg(kernel.get(), at++, bytes, value), "clSetKernelArg");
  };
  for (const cl_mem& buffer : first_.buffers) set(sizeof(buffer), &buffer);
  set(first_.numbers.size() * sizeof(cl_int), first_.numbers.data());
  if (word_buffer_ != nullptr) set(sizeof(word_buffer_), &word_buffer_);
  return kernel.release();
}

void Launch::set(cl_kernel kernel, Arguments& now, const Operands& operands) const {
  for (cl_uint slot = 0; slot < slots_.size(); ++slot) {
    const Binding binding = bind(slots_[slot], operands);
    if (binding.memory != now.buffers[slot]) {
      check(cl().SetKernelArg(kernel, slot, sizeof(cl_mem), &binding.memory), "clSetKernelArg");
      now.buffers[slot] = binding.memory;
    }
    now.stale |= binding.offset != now.numbers[slot];
    now.numbers[slot] = binding.offset;
  }
  if (!now.stale) return;
  check(cl().SetKernelArg(kernel, static_cast<cl_uint>(slots_.size()), now.numbers.size() * sizeof(cl_int),
                          now.numbers.data()),
        "clSetKernelArg");
  now.stale = false;
}

Binding Launch::bind(const Slot& slot, const Operands& operands) const {
  const bp_view& view = slot.from == Slot::From::input    ? operands.inputs[slot.index]
                        : slot.from == Slot::From::output ? operands.outputs[slot.index]
                                                          : operands.workspace;
  const auto* buffer = reinterpret_cast<const Buffer*>(view.buffer);
  if (buffer == nullptr) return {};  // an operand without elements
  const uint64_t bytes = buffer->base + view.offset + slot.offset;
  const uint64_t element = bytes / slot.element_size;
  if (bytes % slot.element_size != 0) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[enqueue] offset " + std::to_string(view.offset) +
                                                  " is not a multiple of the element size " +
                                                  std::to_string(slot.element_size));
  }
  if (element + static_cast<uint64_t>(std::max<int64_t>(slot.high, 0)) > INT32_MAX) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[enqueue] offset " + std::to_string(view.offset) +
                                             " puts an operand beyond 2^31 elements; use smaller buffers");
  }
  return {buffer->memory, static_cast<cl_int>(element)};
}

cl_int Launch::enqueue(cl_command_queue queue, const Operands& operands) {
  std::lock_guard<std::mutex> lock(mutex_);
  set(kernel_, now_, operands);
  return enqueue_clone(queue, kernel_);
}

cl_kernel Launch::clone(const Operands& operands) const {
  const cl_kernel kernel = make();
  try {
    Arguments now = first_;
    set(kernel, now, operands);
  } catch (...) {
    cl().ReleaseKernel(kernel);
    throw;
  }
  return kernel;
}

cl_int Launch::enqueue_clone(cl_command_queue queue, cl_kernel clone) const {
  return cl().EnqueueNDRangeKernel(queue, clone, 3, nullptr, global_, local_, 0, nullptr, nullptr);
}

bool has_large_grid(const codegen::Launch& launch) {
  return work_items(launch, 0) >= kLargeGrid || work_items(launch, 1) >= kLargeGrid ||
         work_items(launch, 2) >= kLargeGrid;
}

void launch_once(const codegen::Launch& launch, cl_program program, cl_context context, cl_command_queue queue) {
  cl_int code = CL_SUCCESS;
  const std::unique_ptr<std::remove_pointer_t<cl_kernel>, cl_int (*)(cl_kernel)> kernel(
      cl().CreateKernel(program, "bp_main", &code), cl().ReleaseKernel);
  check(code, "clCreateKernel");
  cl_uint at = 0;
  const auto set = [&](size_t bytes, const void* value) {
    check(cl().SetKernelArg(kernel.get(), at++, bytes, value), "clSetKernelArg");
  };
  std::vector<std::unique_ptr<Scratch>> buffers;
  for (const Slot& slot : launch.slots) {
    const uint64_t elements = static_cast<uint64_t>(slot.high - slot.low + 1);
    buffers.push_back(std::make_unique<Scratch>(context, elements * slot.element_size));
    const cl_mem memory = buffers.back()->get();
    set(sizeof(memory), &memory);
  }
  std::vector<cl_int> numbers;
  for (const Slot& slot : launch.slots) numbers.push_back(static_cast<cl_int>(-slot.low));
  if (!launch.words_in_buffer) numbers.insert(numbers.end(), launch.words.begin(), launch.words.end());
  set(numbers.size() * sizeof(cl_int), numbers.data());
  if (launch.words_in_buffer) {
    buffers.push_back(std::make_unique<Scratch>(context, launch.words.size() * sizeof(int32_t)));
    const cl_mem memory = buffers.back()->get();
    check(cl().EnqueueWriteBuffer(queue, memory, CL_TRUE, 0, launch.words.size() * sizeof(int32_t), launch.words.data(),
                                  0, nullptr, nullptr),
          "clEnqueueWriteBuffer");
    set(sizeof(memory), &memory);
  }
  size_t local[3], global[3];
  for (size_t d = 0; d < 3; ++d) {
    local[d] = launch.group[d];
    const size_t all = work_items(launch, d);
    global[d] = all < kLargeGrid ? local[d] : (kLargeGrid + local[d] - 1) / local[d] * local[d];
  }
  check(cl().EnqueueNDRangeKernel(queue, kernel.get(), 3, nullptr, global, local, 0, nullptr, nullptr),
        "clEnqueueNDRangeKernel");
  check(cl().Finish(queue), "clFinish");
}

}  // namespace backplane::opencl
