// SPDX-License-Identifier: Apache-2.0
// What a device could do at the best, from the ceilings that were measured in the same run, and what bounds a row.
//
// Least time = the longest of arithmetic at the best rate seen, bytes at the best bandwidth for a working set of that
// size, between those that were measured, and one launch (Williams, Waterman, Patterson, "Roofline", 2009, with a term for launches). A share
// above 1 means that the ceiling was beaten: it is shown as it is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/results.h"

namespace backplane::bench {

struct Limit {
  double compute_ns = 0, memory_ns = 0, launch_ns = 0;  ///< 0 where no ceiling was measured, or there is no such work
  double least_ns() const;
  report::Bound bound() const;
};

class Roofline {
 public:
  /// Of one device; half types without ceilings of their own are held to f32's.
  Roofline(const std::vector<report::Ceiling>& ceilings, const std::string& device);
  /// Best rate in 10^9 a second; nothing when none was measured.
  std::optional<double> gflops(const std::string& dtype) const;
  std::optional<double> gbytes(double working_set) const;
  Limit limit(const report::Row& row) const;
  /// Sets share and bound of a measured row of this device that has counts.
  void judge(report::Row& row) const;

 private:
  std::vector<report::Ceiling> ceilings_;
};

/// A row that is faster than its ceilings shows that these are too low: they were measured at a worse moment. So they are
/// raised to the best that the whole sweep has seen, but not by rows of other libraries or of fewer flops than counted.
void raise_to_rows(std::vector<report::Ceiling>& ceilings, const std::vector<report::Row>& rows);

}  // namespace backplane::bench
