// SPDX-License-Identifier: Apache-2.0
// Winograd's transforms as text: sums of scaled values, one line per row of a small matrix (Lavin and Gray, 2015).
#pragma once

#include <span>
#include <string>

#include "source.h"

namespace backplane::codegen {

/// The small matrices Bt, G and At of F(step x step, 3 x 3).
struct WinogradScheme {
  int step, points;
  double data[6][6], filter[6][3], result[4][6];
};
/// F(4 x 4, 3 x 3), F(2 x 2, 3 x 3).
std::span<const WinogradScheme> winograd_schemes();

/// NAME(to, base, step): to[base + i * step] = row i of the matrix, whose rows are `pitch` apart, times (a0, a1, ...).
void declare_transform(Source& source, const char* name, const double* matrix, int pitch, int rows, int columns);
/// NAME: declares a0, a1, ... as `count` values, `element` with # for the number.
void declare_operands(Source& source, const std::string& name, int count, const std::string& element);
/// NAME: declares a0, a1, ... as row i of an array `raw` whose elements are WIDTH numbers of work to be done side by
/// side.
void declare_gathered(Source& source, const std::string& name, int count, uint32_t width);

}  // namespace backplane::codegen
