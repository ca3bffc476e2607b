// SPDX-License-Identifier: Apache-2.0
// What one tuning works on, for its stages to share: the candidates with their kernels, the place where they run, the
// budget, and what was found out so far.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backplane/autotune/race.h"
#include "budget.h"
#include "gate.h"
#include "rig.h"

namespace backplane::autotune {

struct Field {
  Field(const host::DevicePtr& on, const bp_op& what, const Request& how)
      : device(on), op(what), request(how), budget(how) {}

  Candidate& row(size_t i) { return outcome.candidates[i]; }
  Fits fits_until(int64_t end) const {
    return [this, end](double ns) { return budget.fits(ns, end); };
  }
  void tell(const char* stage, const std::string& variant, size_t done, size_t of) const {
    if (!request.progress) return;
    request.progress({stage, variant, done, of, budget.used(), request.budget_ns, budget.excluded_ns()});
  }
  /// Nothing more is run on the device.
  void stop(std::string why) {
    if (stopped.empty()) stopped = std::move(why);
  }
  /// New inputs, and what is right for them; off the budget.
  void set_problem(uint64_t seed) {
    budget.exclude([&] { problem = std::make_unique<Problem>(device, request.oracle, op, seed, request.inputs); });
  }
  void set_rig() { rig = std::make_unique<Rig>(device, *problem, request.hang_ns); }
  /// After a failure of variant i that others may suffer from.
  void recover(size_t i, Verdict verdict);

  host::DevicePtr device;
  const bp_op& op;
  const Request& request;
  Budget budget;
  std::unique_ptr<Problem> problem;
  std::vector<host::Variant> variants;
  std::vector<std::shared_ptr<host::Kernel>> kernels;  // of those that are right
  std::vector<double> first_ns;                        // of a launch in the gate
  std::unique_ptr<Rig> rig;                            // after the kernels: its queue ends before they do
  std::string stopped;
  Outcome outcome;
};

}  // namespace backplane::autotune
