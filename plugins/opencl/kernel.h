// SPDX-License-Identifier: Apache-2.0
// A prepared operation: codegen's launches with their compiled programs, ready to be given buffers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backplane/codegen/recipe.h"
#include "programs.h"

namespace backplane::opencl {

struct Operands {
  const bp_view* inputs;
  const bp_view* outputs;
  bp_view workspace;
};

/// A buffer argument as the driver sees it.
struct Binding {
  cl_mem memory = nullptr;
  cl_int offset = 0;  ///< elements
};

class Launch {
 public:
  Launch(const codegen::Launch& launch, std::shared_ptr<Program> program, cl_context context);
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  /// Puts one launch with these operands into `queue`. The argument state of a cl_kernel is shared, hence the lock.
  cl_int enqueue(cl_command_queue queue, const Operands& operands);
  /// A cl_kernel of its own with all arguments set, for recordings; the caller releases it.
  cl_kernel clone(const Operands& operands) const;
  /// Puts a launch of such a clone into `queue`.
  cl_int enqueue_clone(cl_command_queue queue, cl_kernel clone) const;

 private:
  /// What a cl_kernel's arguments are: buffers, then one struct of the offsets and the words that are not in a buffer.
  struct Arguments {
    std::vector<cl_mem> buffers;
    std::vector<cl_int> numbers;
    bool stale = false;  ///< the kernel does not have these numbers yet
  };
  cl_kernel make() const;  ///< with first_ set
  Binding bind(const codegen::Slot& slot, const Operands& operands) const;
  /// Sets what `operands` change in a kernel whose arguments are `now`.
  void set(cl_kernel kernel, Arguments& now, const Operands& operands) const;

  std::shared_ptr<Program> program_;
  std::vector<codegen::Slot> slots_;
  cl_mem word_buffer_ = nullptr;
  size_t local_[3], global_[3];
  Arguments first_;  // no buffers, offsets of 0
  std::mutex mutex_;
  cl_kernel kernel_ = nullptr;
  Arguments now_;  // of kernel_
};

/// Runs one work-group of a program on scratch memory (or all of them where the driver makes a difference), so that its
/// code exists before the first real launch.
void launch_once(const codegen::Launch& launch, cl_program program, cl_context context, cl_command_queue queue);
/// Whether PoCL counts this launch as having a large grid.
bool has_large_grid(const codegen::Launch& launch);

class Kernel {
 public:
  uint64_t workspace = 0;
  uint64_t build_time_ns = 0;
  char variant[96] = "";
  std::vector<std::unique_ptr<Launch>> launches;
};

}  // namespace backplane::opencl
