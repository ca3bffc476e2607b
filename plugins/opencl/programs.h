// SPDX-License-Identifier: Apache-2.0
// Compiled programs of one device: kept in memory by source text, and as binaries in the host's blob cache, so that
// each text is compiled once on a machine. An entry of the blob cache is checked before it is used and rebuilt if damaged.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "backplane/devicekit/recent.h"
#include "devices.h"

namespace backplane::opencl {

class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  cl_program get() const { return program_; }

 private:
  friend class Programs;
  std::mutex mutex_;
  cl_program program_ = nullptr;
};

class Programs {
 public:
  Programs(const sdk::Host& host, const DeviceEntry& entry, cl_context context);

  /// `launch_once(program)` launches the kernel of a compiled program on scratch memory, for drivers that generate code
  /// at the first launch; `large_grid` is on which side of their threshold the launch is. `*build_ns` grows by the time
  /// spent compiling.
  std::shared_ptr<Program> get(const std::string& name, const std::string& text, bool large_grid,
                               const std::function<void(cl_program)>& launch_once, uint64_t* build_ns);

 private:
  bool load(Program& program, const std::string& key) const;
  void store(const Program& program, const std::string& key) const;
  void compile(Program& program, const std::string& name, const std::string& source) const;
  std::string build_log(cl_program program) const;

  const sdk::Host& host_;
  const DeviceEntry& entry_;
  cl_context context_;
  const devicekit::Digest toolchain_;
  devicekit::Recent<Program> programs_{2048};
};

}  // namespace backplane::opencl
