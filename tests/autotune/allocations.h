// SPDX-License-Identifier: Apache-2.0
// Counts what this program allocates with `new`.
#pragma once

#include <cstddef>

namespace backplane::test {

size_t allocations();

}  // namespace backplane::test
