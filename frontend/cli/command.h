// SPDX-License-Identifier: Apache-2.0
// What the subcommands of `backplane` share: exit codes, the error that carries one, how devices are opened.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "backplane/device.h"

namespace backplane::cli {

/// Stable: scripts may compare them. docs/cli.md has the same table.
enum class ExitCode : int {
  ok = 0,
  failure = 1,       ///< the computation failed, or `doctor` found something wrong
  usage = 2,         ///< an option or its value makes no sense
  device = 3,        ///< no such device, or it cannot be opened
  file = 4,          ///< a file is missing, damaged, does not fit or cannot be written
  interrupted = 130  ///< by Ctrl-C, as shells count it
};

class CommandError : public std::runtime_error {
 public:
  CommandError(ExitCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Opens the device of a selector (empty: BACKPLANE_DEVICE or the best) and makes it the default one. Throws
/// CommandError(device).
Device use_device(const std::string& selector);

struct TrainOptions {
  std::string data = "fashion-mnist";
  std::string data_directory;
  std::string model = "cnn";
  std::string device;
  std::string mode = "compiled";
  int64_t epochs = 5;
  int64_t batch = 64;
  double learning_rate = 0;  ///< 0: the model's own
  uint64_t seed = 1;
  int64_t limit = 0;  ///< training images to use, 0 = all
  std::string save, load, trace;
  std::vector<std::string> replicas;  ///< selectors; empty: one device
  std::string reduction = "plugin";
  bool json = false;
};
struct ExplainOptions {
  std::string model = "cnn";
  std::string device;
  int64_t batch = 64;
  bool inference = false;
  bool json = false;
};

ExitCode run_train(const TrainOptions& options);
ExitCode run_devices(bool json);
ExitCode run_doctor(bool json);
ExitCode run_explain(const ExplainOptions& options);
/// Becomes another program; comes back only by throwing.
ExitCode run_bench(const std::vector<std::string>& arguments);
ExitCode run_env(bool json);
ExitCode run_version(bool json);

}  // namespace backplane::cli
