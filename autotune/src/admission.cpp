// SPDX-License-Identifier: Apache-2.0
#include "admission.h"

#include <algorithm>
#include <limits>
#include <set>

#include "backplane/autotune/key.h"
#include "candidates.h"

namespace backplane::autotune {
namespace {

constexpr int kLaunches = 3;
constexpr double kHopeless = 5;   // x the best launch so far: not launched any more, and not raced
constexpr double kShortNs = 2e6;  // launches shorter than this are always worth it
constexpr double kLongNs = 2e8;   // one launch of this length is enough to tell
constexpr double kShare = 0.5;    // of the budget: candidates not checked by then are not raced

class Admission {
 public:
  explicit Admission(Field& field) : field_(field), op_(field.op), request_(field.request), budget_(field.budget) {}

  void admit(size_t i) {
    const host::Variant& variant = field_.variants[i];
    Candidate& c = field_.row(i);
    if (const Candidate* kept = find_kept(c)) {
      c = *kept;
      return;
    }
    const auto refuse = [&](Verdict verdict, std::string why) { c.verdict = verdict, c.reason = std::move(why); };
    if (const Refusal no = objection(i); !no.why.empty()) return refuse(no.verdict, no.why);
    field_.tell("check", c.variant, i, field_.variants.size());
    const bool risky = (variant.flags & BP_VARIANT_RISKY) != 0 || (i > 0 && request_.suspicious);
    if (risky && !survives(c, share_of(i))) return;
    try {
      build(i);
      gate(i);
    } catch (const Fault& fault) {
      refuse(fault.verdict, fault.reason);
      field_.recover(i, fault.verdict);
    } catch (const host::Error& error) {
      const Fault fault = fault_of(error);
      refuse(fault.verdict, fault.reason);
      field_.recover(i, fault.verdict);
    }
    if (!is_right(c.verdict)) field_.kernels[i] = nullptr;
  }

 private:
  struct Refusal {
    Verdict verdict = Verdict::skipped;
    std::string why;  ///< empty: none
  };
  const Candidate* find_kept(const Candidate& c) const {
    const auto found = std::ranges::find(request_.kept, c.variant, &Candidate::variant);
    return found != request_.kept.end() && !c.is_default ? &*found : nullptr;
  }
  bool needed(size_t i) const { return i == 0 || field_.variants[i].name == request_.incumbent; }
  double share_of(size_t i) const { return needed(i) ? 1.0 : kShare; }
  int64_t until(size_t i) const { return budget_.deadline(share_of(i)); }

  /// Why variant i is not even built.
  Refusal objection(size_t i) {
    const host::Variant& variant = field_.variants[i];
    if (!field_.stopped.empty()) return {Verdict::skipped, field_.stopped};
    if (!names_.insert(variant.name).second) return {Verdict::failed, "is listed twice"};
    if (std::string why = forbidden(op_, variant); !why.empty()) return {Verdict::policy, why};
    if (const auto known = request_.blocked.find(variant.name); known != request_.blocked.end())
      return {known->second.verdict, known->second.reason};
    if (std::string why = unpromising(variant, field_.variants[0].name, best_ns_, request_); !why.empty())
      return {Verdict::skipped, why};
    if (budget_.cancelled()) return {Verdict::over_budget, "cancelled before it was checked"};
    if (budget_.clock() > until(i)) return {Verdict::over_budget, "no time left to check it"};
    // The next one is taken to build (or to be tried in a child) as long as the slowest so far.
    const bool slow_builds = budget_.excluded_ns() > request_.build_budget_ns ||
                             static_cast<double>(longest_build_ns_) > budget_.left_in_all(kShare);
    if (!needed(i) && slow_builds) return {Verdict::over_budget, "no time left to build it"};
    return {};
  }

  bool survives(Candidate& c, double share) {
    if (!request_.try_risky) {
      c.verdict = Verdict::skipped, c.reason = "risky, and there is no child process to try it in";
      return false;
    }
    const auto limit_ns = static_cast<uint64_t>(std::max(budget_.left_in_all(share), 0.0));
    const uint64_t took = budget_.exclude([&] { c.verdict = request_.try_risky(op_, c.variant, limit_ns, c.reason); });
    longest_build_ns_ = std::max(longest_build_ns_, took);
    return c.verdict == Verdict::raced;
  }

  void build(size_t i) {
    Candidate& c = field_.row(i);
    c.build_ns = budget_.exclude([&] {
      field_.kernels[i] = std::make_shared<host::Kernel>(field_.device->prepare(op_, c.variant.c_str()));
    });
    longest_build_ns_ = std::max(longest_build_ns_, c.build_ns);
    check_promises(op_, field_.variants[i], *field_.kernels[i]);
    if (c.build_ns > request_.max_build_ns)
      throw Fault{Verdict::slow_build, "took " + std::to_string(c.build_ns / 1'000'000) + " ms to prepare"};
  }

  void gate(size_t i) {
    Candidate& c = field_.row(i);
    budget_.exclude([&] { field_.problem->expected(); });
    field_.rig->need_workspace(field_.kernels[i]->workspace);
    const double hopeless_ns = std::max(kHopeless * best_ns_, kShortNs);
    // Only a device that works in the call builds nothing at the first launch.
    const double first_hopeless_ns = field_.device->has(BP_DEVICE_SYNCHRONOUS)
                                         ? std::max(20 * hopeless_ns, kLongNs)
                                         : std::numeric_limits<double>::infinity();
    const auto now = [this] { return budget_.clock(); };
    const auto lazily_built = [&](uint64_t ns) {
      budget_.credit(ns);
      c.build_ns += ns;
      longest_build_ns_ = std::max(longest_build_ns_, c.build_ns);
    };
    const Effort effort{kLaunches, hopeless_ns, first_hopeless_ns, field_.fits_until(until(i)), now, lazily_built};
    const Checked checked =
        check_variant(*field_.rig, *field_.problem, field_.variants[i], *field_.kernels[i], effort);
    best_ns_ = std::min(best_ns_, checked.ns);
    c.verdict = checked.hopeless ? Verdict::slow : Verdict::raced;
    if (checked.hopeless) {
      c.reason = "much slower than others when it was checked";
      c.times = {checked.ns, checked.ns, checked.ns, 1};
    }
    c.error = checked.difference.error, c.allowed = checked.difference.allowed;
    field_.first_ns[i] = checked.ns;
  }

  Field& field_;
  const bp_op& op_;
  const Request& request_;
  Budget& budget_;
  double best_ns_ = std::numeric_limits<double>::infinity();  // of a launch in the gate
  uint64_t longest_build_ns_ = 0;                             // or trial in a child process
  std::set<std::string> names_;
};

}  // namespace

void admit_candidates(Field& field) {
  field.variants = ordered_variants(field.device, field.op, field.request);
  for (const host::Variant& v : field.variants) {
    Candidate& c = field.outcome.candidates.emplace_back();
    c.variant = v.name;
    c.is_default = (v.flags & BP_VARIANT_DEFAULT) != 0 && field.outcome.candidates.size() == 1;
    c.workspace = v.workspace, c.numeric_notes = v.numeric_notes, c.determinism = v.determinism;
    c.code_hash = v.code_hash;
  }
  field.kernels.resize(field.variants.size());
  field.first_ns.resize(field.variants.size());
  try {
    field.set_rig();
  } catch (const Fault& fault) {
    field.stop("the device cannot be used: " + fault.reason);
  }
  Admission admission(field);
  for (size_t i = 0; i < field.variants.size(); ++i) admission.admit(i);
}

}  // namespace backplane::autotune
