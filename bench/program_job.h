// SPDX-License-Identifier: Apache-2.0
// Work that is no single kernel: training steps, transfers, what the host itself costs. A line of a suite names one of
// the programs of programs(), its dimensions and its words: "train model=mlp N=32".
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "job.h"
#include "measure.h"
#include "suite.h"

namespace backplane::bench {

struct ProgramArguments {
  host::DevicePtr device;  ///< the null device for programs that measure the host
  Dimensions dimensions;
  std::map<std::string, std::string> words;
  int64_t dimension(std::string_view name) const;         ///< throws Error where the line does not have it
  std::string word(const std::string& name, const std::string& usual) const;
};

/// Ready to be timed.
struct Work {
  Call call, finish;  ///< as a Contestant's
  double calls = 1;   ///< the row's time is of one of so many
  std::optional<double> flops, bytes;
  std::optional<double> error, allowed;  ///< of a check against right results; a program without results has none
  std::optional<double> compile_ns;
};

struct Program {
  std::string_view name, doc;
  bool on_host = false;  ///< it does not depend on the device: measured once, on the null device
  Work (*prepare)(const ProgramArguments& arguments) = nullptr;  ///< throws Error with why it cannot be done
};

/// All of them.
std::span<const Program> model_programs();
std::span<const Program> launch_programs();
std::span<const Program> host_programs();
std::span<const Program> transfer_programs();
const Program* find_program(std::string_view name);

class ProgramJob : public Job {
 public:
  /// One job per combination of dimensions. `device` is null for a program on the host whose null device is missing.
  static std::vector<std::unique_ptr<Job>> of(const Program& program, const SuiteLine& line, const std::string& suite,
                                              const Overrides& overrides, const host::DevicePtr& device);
  void run(const Allowance& allowance) override;

 private:
  ProgramJob(const Program& program, ProgramArguments arguments);
  const Program& program_;
  ProgramArguments arguments_;
};

}  // namespace backplane::bench
