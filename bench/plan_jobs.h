// SPDX-License-Identifier: Apache-2.0
// Which rows there will be: lines of suites x devices x variants, less what is filtered out.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "job.h"
#include "suite.h"
#include "sweep.h"

namespace backplane::bench {

struct NamedLine {
  std::string suite;
  SuiteLine line;
};
struct Selection {
  std::vector<NamedLine> lines;
  std::optional<double> budget_s;  ///< the option's, or else what the suites say together
};
Selection select_lines(const SweepOptions& options);

struct OpenedDevice {
  host::DevicePtr device;  ///< null when it could not be opened
  std::string name, trouble;
};
/// Those of --devices; "all" leaves out reference devices, which say what is right. Throws cli::CommandError(device)
/// for one that was named and cannot be opened.
std::vector<OpenedDevice> open_devices(const std::vector<std::string>& selectors);

/// Jobs with at least one row that `keep` wants, in the order of the lines; with a budget the first case of each line,
/// then the second of each and so on, so that a short sweep has seen something of everything.
std::vector<std::unique_ptr<Job>> make_jobs(const SweepOptions& options, const Selection& selection,
                                            const std::vector<OpenedDevice>& devices,
                                            const std::function<bool(const report::Row&)>& keep);

}  // namespace backplane::bench
