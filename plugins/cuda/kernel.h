// SPDX-License-Identifier: Apache-2.0
// A prepared operation: codegen's launches with their compiled functions, and how their arguments are made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/codegen/recipe.h"
#include "backplane/devicekit/recent.h"
#include "memory.h"
#include "compiler.h"

namespace backplane::cuda {

struct Operands {
  const bp_view* inputs;
  const bp_view* outputs;
  bp_view workspace;
};

/// A loaded module with one kernel.
class Program {
 public:
  Program() = default;
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  CUfunction function() const { return function_; }

 private:
  friend class Programs;
  std::mutex mutex_;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
};

/// Compiled programs of one device: kept in memory by source text, and as cubins in the host's blob cache.
class Programs {
 public:
  Programs(const sdk::Host& host, const Compiler& compiler, int major, int minor);
  /// `*build_ns` grows by the time spent compiling. The device's context is current.
  std::shared_ptr<const Program> get(const std::string& name, const std::string& text, uint64_t* build_ns);

 private:
  const sdk::Host& host_;
  const Compiler& compiler_;
  const int major_, minor_;
  const devicekit::Digest toolchain_;
  devicekit::Recent<Program> programs_{4096};
};

/// A kernel's name, short and without an owner: queues remember the last ones for the report of a crash.
struct Name {
  char text[48] = "";
};

CUdeviceptr address_of(const bp_view& view);

/// One thing that a kernel puts into a stream.
class Step {
 public:
  virtual ~Step() = default;
  virtual const Name& name() const = 0;
  /// The driver's code; libraries' own failures are thrown.
  virtual CUresult enqueue(CUstream stream, const Operands& operands) const = 0;
};

class Launch final : public Step {
 public:
  Launch(codegen::Launch launch, Programs& programs, std::shared_ptr<devicekit::Pool> memory, uint64_t* build_ns);

  const Name& name() const override { return name_; }
  CUresult enqueue(CUstream stream, const Operands& operands) const override;

 private:
  Name name_;
  std::shared_ptr<const Program> program_;
  std::shared_ptr<const Program> aligned_;  ///< NULL, or for addresses that are all multiples of 16
  std::vector<codegen::Slot> slots_;
  std::vector<int32_t> words_;
  std::unique_ptr<Buffer> word_buffer_;     ///< words beyond what arguments hold
  std::array<uint32_t, 3> group_, grid_;
};

/// A launch of the POINTWISE operation that another step's epilogue is: its first input is what that step made, in the
/// workspace or in the output, and the others are the operation's inputs from `first_extra` on.
class Epilogue final : public Step {
 public:
  Epilogue(std::unique_ptr<Launch> launch, bool out_of_workspace, uint32_t first_extra, uint32_t num_inputs)
      : launch_(std::move(launch)), out_of_workspace_(out_of_workspace), first_extra_(first_extra), num_inputs_(num_inputs) {}
  const Name& name() const override { return launch_->name(); }
  CUresult enqueue(CUstream stream, const Operands& operands) const override;

 private:
  std::unique_ptr<Launch> launch_;
  const bool out_of_workspace_;
  const uint32_t first_extra_, num_inputs_;
};

using Steps = std::vector<std::unique_ptr<Step>>;

/// Some steps for operands whose addresses are all multiples of `alignment`, others for any.
class ByAlignment final : public Step {
 public:
  ByAlignment(uint64_t alignment, size_t num_inputs, size_t num_outputs, Steps aligned, Steps any)
      : alignment_(alignment), num_inputs_(num_inputs), num_outputs_(num_outputs), aligned_(std::move(aligned)), any_(std::move(any)) {}
  const Name& name() const override { return aligned_.front()->name(); }
  CUresult enqueue(CUstream stream, const Operands& operands) const override;

 private:
  const uint64_t alignment_;
  const size_t num_inputs_, num_outputs_;
  const Steps aligned_, any_;
};

class Kernel {
 public:
  uint64_t workspace = 0;
  uint64_t build_time_ns = 0;
  char variant[96] = "";
  Steps steps;
};

}  // namespace backplane::cuda
