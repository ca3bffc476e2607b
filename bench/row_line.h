// SPDX-License-Identifier: Apache-2.0
// A finished row as a line of a terminal.
#pragma once

#include <string>

#include "report/results.h"

namespace backplane::bench {

std::string line_of(const report::Row& row);

}  // namespace backplane::bench
