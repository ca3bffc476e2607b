// SPDX-License-Identifier: Apache-2.0
// Right before fast: what a variant has to pass before its time counts.
//
// Several launches on the same inputs, each over fresh poison: results within the operation's bound every time, the
// same bits where that is promised, nothing written elsewhere, no memory kept from launch to launch. Once more on other
// inputs for the one that wins (tune.cpp). It cannot catch a crash; that is what a child process is for.
#pragma once

#include <functional>
#include <limits>

#include "backplane/autotune/race.h"
#include "bounds.h"
#include "rig.h"

namespace backplane::autotune {

/// True when a launch that may take so long still fits.
using Fits = std::function<bool(double ns)>;

/// What is wrong with the variant's own description or with what prepare() made of it; throws Fault.
void check_promises(const bp_op& op, const host::Variant& variant, const host::Kernel& kernel);

struct Checked {
  Difference difference;  ///< the worst of all launches
  double ns = 0;          ///< of the quickest launch
  bool hopeless = false;  ///< right, but so slow that it was not launched as often as wanted
};
struct Effort {
  int launches = 3;
  /// A variant whose quicker launch of two takes longer is not worth more of them. The first one may build something,
  /// or wake threads; it counts alone only where it took longer than `first_hopeless_ns`.
  double hopeless_ns = std::numeric_limits<double>::infinity();
  double first_hopeless_ns = std::numeric_limits<double>::infinity();
  Fits fits = [](double) { return true; };
  std::function<int64_t()> now_ns = [] { return int64_t{0}; };
  /// Told by how much the first launch took longer than the second where that is much: it built something.
  std::function<void(uint64_t ns)> on_lazy_build = [](uint64_t) {};
};
/// Throws Fault for whatever is wrong, and with Verdict::over_budget when the next launch does not fit.
Checked check_variant(Rig& rig, Problem& problem, const host::Variant& variant, const host::Kernel& kernel,
                      const Effort& effort);

}  // namespace backplane::autotune
