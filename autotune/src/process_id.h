// SPDX-License-Identifier: Apache-2.0
// A process, told apart from earlier and later ones that were given the same number.
#pragma once

#include <cstdint>

namespace backplane::autotune {

/// Its number and when it started; without /proc its number alone. Containers give every process the same few numbers.
int64_t this_process();
bool is_alive(int64_t process);

}  // namespace backplane::autotune
