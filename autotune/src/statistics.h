// SPDX-License-Identifier: Apache-2.0
// Robust location and its interval, for few samples with outliers.
#pragma once

#include <vector>

#include "backplane/autotune/outcome.h"

namespace backplane::autotune {

/// Quantile by interpolation, 0 <= q <= 1; `values` is not empty.
double quantile(std::vector<double> values, double q);

/// 20 % trimmed mean with the interval of Yuen ("The two-sample trimmed t for unequal population variances", 1974):
/// standard error from the winsorised variance, `z` standard errors each way, widened to Student's t for as many
/// samples as are left after trimming. Fewer than 4 samples give an interval without bounds.
Interval trimmed_interval(std::vector<double> values, double z);

/// Two-sided normal quantile for an error probability `alpha`: 1.96 for 0.05.
double normal_quantile(double alpha);

}  // namespace backplane::autotune
