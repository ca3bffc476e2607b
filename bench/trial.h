// SPDX-License-Identifier: Apache-2.0
// All variants of a device for one case: each is checked first, then those that have a chance are raced against one
// another, interleaved. The same steps as a tuner's, without its memory.
//
// Time is bounded: a variant more than 3 x slower than the best at first sight is not raced, one that by its speed on an
// earlier case would take far longer than the best so far is not even tried, and both are named as such.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels.h"
#include "oracle.h"

namespace backplane::bench {

struct Tried {
  enum class Verdict {
    raced,    ///< right, and timed in the race
    slow,     ///< right, and at first sight too slow for the race; `times` is that first sight
    wrong,    ///< `difference` says by how much
    failed,   ///< `why` is the device's error
    skipped,  ///< not run; `why` says what was expected of it
  };
  std::string name;
  bool is_default = false;
  Verdict verdict = Verdict::skipped;
  Times times;
  Difference difference;
  std::string why;
  std::shared_ptr<Prepared> kernel;  ///< of those that are right
};
std::string_view name_of(Tried::Verdict verdict);

struct Trial {
  std::vector<Tried> tried;  ///< the default first
  Measurement race;          ///< of the contestants in `raced`
  std::vector<size_t> raced; ///< indices into `tried`, the default first
  size_t best = 0;           ///< index into `tried`; the default unless another is more than 2 % faster
  std::string checked_by;

  const Tried& default_variant() const { return tried[0]; }
  const Tried& winner() const { return tried[best]; }
  int count(Tried::Verdict verdict) const;
  /// Variants with that verdict and why, separated by "; ".
  std::string list(Tried::Verdict verdict) const;
};

/// Throws when the device does not do the op, or when its default is wrong.
Trial try_variants(const host::DevicePtr& device, const Case& c, const std::vector<std::vector<std::byte>>& values);

}  // namespace backplane::bench
