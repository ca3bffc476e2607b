// SPDX-License-Identifier: Apache-2.0
// A choice for a shape that was not measured, and the rule by which one is made: the default is left only for a variant
// whose expected gain is beyond 2 % and beyond twice its own error, and never for one that failed a check.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backplane/autotune/store.h"
#include "backplane/host/device.h"
#include "regression.h"

namespace backplane::autotune {

constexpr double kMargin = 0.02;  ///< a gain has to be larger

struct Guess {
  std::string variant;  ///< empty: the default is as good as can be told
  std::string why;      ///< empty: nothing is expected to be faster
};

/// ln(time of `variant` / time of `usual`) as it is expected; nothing where too little was measured.
using Expect = std::function<std::optional<Prediction>(const std::string& variant, const std::string& usual)>;
/// `by` says by what, "20 measured shapes".
Guess surest(const bp_op& op, const std::vector<host::Variant>& variants, const std::vector<std::string>& faulty,
             const std::string& by, const Expect& expect);

/// The default of a measured problem; null where its times say nothing.
const Candidate* default_of(const Outcome& outcome);
/// ln(its time / the default's time) of one race, with its standard error.
std::optional<Prediction> measured_ratio(const Candidate& candidate, const Candidate& usual);
/// Variants that are faulty in any of them.
std::vector<std::string> faulty_in(const std::vector<Record>& records);

}  // namespace backplane::autotune
