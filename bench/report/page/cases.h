// SPDX-License-Identifier: Apache-2.0
// Rows as the page looks at them: by case, then by device, then by choice.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/contents.h"
#include "report/results.h"

namespace backplane::bench::report::page {

/// One case on one device. Null or empty: there is no such row.
struct OnDevice {
  const Row* default_row = nullptr;
  const Row* tuned = nullptr;
  Rows variants;
  Rows peers;

  bool empty() const { return !default_row && !tuned && variants.empty(); }
  /// The tuned row, or else the default's, if it was measured: what a user gets.
  const Row* got() const;
  /// The fastest of all that were measured, peers apart.
  const Row* fastest() const;
  /// Any row, for its status and reason; those without a time first.
  const Row* any() const;
  /// Default's time / tuned time, from the race where there was one.
  std::optional<Ratio> gain() const;
};

struct CaseRows {
  std::string name, op, dtype;
  const Row* first = nullptr;           ///< for what is the same in all: shape, dimensions, work
  std::vector<OnDevice> on;             ///< as Run::devices
  std::string label() const;            ///< "matmul/64x64x64 f32"
  std::string label_within_op() const;  ///< "64x64x64 f32"
};

/// Cases in the order of their first rows. Devices that rows name and the run does not are added to it.
std::vector<CaseRows> cases_of(Run& run);

/// Different values in the order in which they first occur.
std::vector<std::string> ops_of(const std::vector<CaseRows>& cases);

double geometric_mean(const std::vector<double>& values);

}  // namespace backplane::bench::report::page
