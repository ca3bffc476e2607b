// SPDX-License-Identifier: Apache-2.0
// Who may race: candidates pass policy, the memory of earlier failures, a child process where they are risky, the
// build, and the gate, one after the other and within the budget.
#pragma once

#include "field.h"

namespace backplane::autotune {

/// Fills the rows of `field.outcome` and the kernels of those that are right.
void admit_candidates(Field& field);

}  // namespace backplane::autotune
