// SPDX-License-Identifier: Apache-2.0
// The second half of a race: whoever may displace the present choice has to be faster on fresh samples, too, because
// the one that looks best among many was also lucky.
#pragma once

#include "rounds.h"

namespace backplane::autotune {

struct Rivals {  ///< contestants; some may be the same
  size_t present, pick, leader, baseline;
  bool has_incumbent;  ///< the present choice was measured before
};
/// Fills `chosen`, `why` and `decided` of the result, and `noise` where it is known better now.
void confirm(Rounds& rounds, const std::vector<Contestant>& contestants, const Rules& rules, const Rivals& rivals);

}  // namespace backplane::autotune
