// SPDX-License-Identifier: Apache-2.0
// Results for tests of the reports. Nothing of it was measured: times come from a formula with the proportions of real
// devices, so that the page has every kind of row, also those without a time.
#pragma once

#include "report/results.h"

namespace backplane::bench::report {

Run made_up_run();
/// As many rows as asked for, of the same kinds.
Run made_up_run_of(size_t rows);

}  // namespace backplane::bench::report
