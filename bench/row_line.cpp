// SPDX-License-Identifier: Apache-2.0
#include "row_line.h"

#include <fmt/format.h>

#include "report/words.h"

namespace backplane::bench {

std::string line_of(const report::Row& row) {
  std::string text = report::identity(row) + ": ";
  if (!row.median_ns) return text + std::string(name_of(row.status)) + (row.reason.empty() ? "" : ", " + row.reason);
  text += report::time_text(row.median_ns);
  if (const auto rate = gflop_per_s(row)) text += fmt::format(", {:.4g} GFLOP/s", *rate);
  if (const auto rate = gb_per_s(row)) text += fmt::format(", {:.4g} GB/s", *rate);
  if (row.roofline_share)
    text += fmt::format(", {:.0f} % of its {} limit", 100 * *row.roofline_share, name_of(row.bound));
  if (row.choice == report::Choice::tuned) text += ", " + row.variant;
  return text + (row.quiet ? "" : " (busy machine)");
}

}  // namespace backplane::bench
