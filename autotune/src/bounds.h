// SPDX-License-Identifier: Apache-2.0
// How far two right computations of one operation may differ.
//
// A sum of n products rounds about n times with random signs, so results differ by up to 6 sqrt(n) units of rounding of
// what is added up (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019): magnitudes are
// the same operation on absolute values. Other operations are held to 64 roundings of the largest value of the output,
// since inner steps may be larger than the result. Integers and operations that only move or select data are exact.
#pragma once

#include <string>

#include "problem.h"

namespace backplane::autotune {

/// A sum of products, for which the operation on absolute values bounds what is added up.
bool is_linear(const bp_op& op);
/// Additions that a plain implementation needs, about.
double work_of(const bp_op& op);

struct Difference {
  double error = 0, allowed = 0;  ///< of the worst element, relative to its magnitude
  bool ok = true;
  std::string where;  ///< "output 0, element 17: 3 instead of 4"
};
/// `numeric_notes` are the variant's BP_NOTE_*: one that declares weaker arithmetic, which the op allows, is held to
/// that.
Difference compare(const bp_op& op, const Expected& expected, const std::vector<Memory>& outputs,
                   uint32_t numeric_notes);

}  // namespace backplane::autotune
