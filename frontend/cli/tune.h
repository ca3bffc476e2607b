// SPDX-License-Identifier: Apache-2.0
// What the subcommands of `backplane tune` share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backplane/autotune/tuner.h"
#include "backplane/device.h"
#include "backplane/host/kernel_op.h"
#include "cli/command.h"
#include "cli/inspect.h"

namespace backplane::cli {

struct TuneOptions {
  std::vector<std::string> ops, shapes;
  std::string dtype = "f32";
  std::string from;        ///< a recording
  double budget_ms = 500;  ///< for one problem
  double total_s = 0;      ///< for all; 0 = no limit
  bool again = false;      ///< also what is decided already
  bool arbitrate = false;  ///< race the plugins of one machine against one another
  bool json = false;
};
struct TuneQuery {
  std::string device, op, shape;
  std::string dtype = "f32";
  std::string file;      ///< to export to or import from; "-" = stdout, stdin
  int64_t sample = 20;   ///< decisions to verify
  uint64_t seed = 1;
  bool arbitration = false;  ///< show races between plugins instead
  bool json = false;
};

/// One problem of a command line or a recording.
struct TuneProblem {
  host::KernelOp op;
  autotune::Key key;
  double weight = 1;  ///< time it takes in the program: calls x time
  uint64_t calls = 0;
};
/// Heaviest first, each once. Throws CommandError(usage) when there is nothing to tune.
std::vector<TuneProblem> collect_problems(const TuneOptions& options, const Device& device);

ExitCode run_tune(const TuneOptions& options, const std::string& device);
/// `tune --arbitrate`: the plugins of `device`'s machine against one another.
ExitCode run_tune_arbitrate(const TuneOptions& options, const Device& device);
ExitCode show_arbitration(const TuneQuery& query);
ExitCode run_tune_show(const TuneQuery& query);
ExitCode run_tune_explain(const TuneQuery& query);
ExitCode run_tune_verify(const TuneQuery& query);
ExitCode run_tune_export(const TuneQuery& query);
ExitCode run_tune_import(const TuneQuery& query);
ExitCode run_tune_clear(const TuneQuery& query);

/// The store at its usual place. Throws CommandError(file) when it cannot be used.
std::unique_ptr<autotune::Store> open_store(autotune::Store::Access access);
/// A tuner for `device` that writes to the store. `budget_ms`: for one problem; 0: as set by BACKPLANE_TUNE_BUDGET_MS.
std::unique_ptr<autotune::Tuner> make_tuner(const Device& device, double budget_ms);

/// What a device is asked to do for one op on operands of these shapes: "512x256,256x128", "i32:64" for another dtype,
/// attributes behind ';': "8x16x32x32,32x16x3x3;pad_low=1,1;pad_high=1,1". Throws CommandError(usage).
std::vector<host::KernelOp> operations_for(const Device& device, const std::string& op, const std::string& shape,
                                           const std::string& dtype);

/// "1.25 ms"
std::string time_text(double ns);
/// Default's time over the chosen variant's; 1 when the default was chosen or nothing was timed.
double gain_of(const autotune::Outcome& outcome);
/// Variants of an outcome: time, interval, error, verdict, reason; the heading comes first.
std::vector<std::vector<std::string>> candidate_rows(const autotune::Outcome& outcome);

}  // namespace backplane::cli
