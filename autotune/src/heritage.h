// SPDX-License-Identifier: Apache-2.0
// What a build of a plugin inherits from results of another one: the rows of variants whose code is the same
// (bp_variant.code_hash). Where a plugin gives no hash its build stands for it, and nothing is inherited.
//
//   all      every variant that may be used is measured as it is now: the record answers as if this build had made it
//   choice   the choice and the default it was compared with are as they were, others are not: it may be used, and
//            another may be faster by now
//   nothing  the choice or the default has changed
//
// Ratios are to the default; so with another default no row says how fast a variant is, only whether it is right.
#pragma once

#include <string>
#include <vector>

#include "backplane/autotune/key.h"
#include "backplane/autotune/store.h"
#include "backplane/host/device.h"

namespace backplane::autotune {

struct Heritage {
  enum class Holds { nothing, choice, all };
  Holds holds = Holds::nothing;
  std::string why;              ///< what has changed; empty with `all`
  std::vector<Candidate> kept;  ///< rows that need no new measurement (Request::kept); empty with `all`
};

/// `variants` are those of `op` on a device of fingerprint `now`.
Heritage inherit(const Record& record, const bp_op& op, const std::vector<host::Variant>& variants,
                 const Fingerprint& now);

/// Leaves only rows of variants whose code is the same. False when the default's is not among them.
bool keep_unchanged(Record& record, const std::vector<host::Variant>& variants, const Fingerprint& now);

/// Variants of it that crashed, hung or lost the device, and are still the same code.
std::vector<const Candidate*> dangerous_in(const Record& record, const std::vector<host::Variant>& variants,
                                           const Fingerprint& now);

}  // namespace backplane::autotune
