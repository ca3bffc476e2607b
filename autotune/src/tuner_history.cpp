// SPDX-License-Identifier: Apache-2.0
// What the tuner makes of results that are stored: which of them answers, by whichever build of the plugin it was made,
// what similar problems say, and what a new measurement need not find out again.
#include <algorithm>
#include <set>

#include "backplane/autotune/recorder.h"
#include "backplane/autotune/tuner.h"
#include "backplane/host/error.h"
#include "heritage.h"
#include "model.h"
#include "trials.h"

namespace backplane::autotune {
namespace {

constexpr size_t kModelShapes = 96;  // the youngest; with as many a fit takes about 3 ms for each variant that ever won

}  // namespace

std::string Tuner::objection(const bp_op& op, const std::vector<host::Variant>& variants, const std::string& variant) {
  for (const host::Variant& each : variants) {
    if (each.name == variant) return forbidden(op, each);
  }
  return device_->name() + " does not offer it here";
}

std::optional<Tuner::Known> Tuner::best_of(const std::vector<Record>& history, const bp_op& op,
                                           const std::vector<host::Variant>& variants, std::string& why) {
  std::optional<Known> best;
  for (const Record& record : history) {
    const Outcome& found = record.outcome;
    const std::string is_not_used = "the stored choice " + found.chosen + " is not used: ";
    std::string no;
    if (!found.decided) {
      no = "measured without a decision: " + found.why;
    } else if (const std::string objection_to = objection(op, variants, found.chosen); !objection_to.empty()) {
      no = is_not_used + objection_to;
    } else {
      const Heritage heritage = inherit(record, op, variants, fingerprint_);
      if (heritage.holds == Heritage::Holds::all) return Known{record, {}};
      if (heritage.holds == Heritage::Holds::choice && !best) best = Known{record, heritage.why};
      if (heritage.holds == Heritage::Holds::nothing) no = is_not_used + heritage.why;
    }
    if (why.empty()) why = no;
  }
  return best;
}

std::optional<Tuner::Known> Tuner::known(const bp_op& op) {
  std::string why;
  const auto history = tuning_->store().history(Key::of(op), fingerprint_);
  return history.empty() ? std::nullopt : best_of(history, op, device_->variants(op), why);
}

std::vector<Record> Tuner::relatives(const Key& key) {
  const std::string alike = class_of(key.problem);
  std::vector<Record> records = tuning_->store().relatives(
      key, fingerprint_, [&](const std::string& problem) { return class_of(problem) == alike; }, kModelShapes);
  const auto holds = [&](Record& record) {
    if (record.device.build == fingerprint_.build) return true;
    if (record.op.empty()) return false;
    try {
      return op_from_json(record.op).with_op(
          [&](const bp_op& op) { return keep_unchanged(record, device_->variants(op), fingerprint_); });
    } catch (const host::Error&) {
      return false;  // the device does not do it any more
    }
  };
  std::vector<Record> list;
  std::set<std::string> seen;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {  // the youngest of each problem
    if (seen.contains(record->key.text()) || !holds(*record)) continue;
    seen.insert(record->key.text());
    list.push_back(std::move(*record));
  }
  std::ranges::reverse(list);
  return list;
}

/// The incumbent, rows that need no new measurement, and what was too dangerous to be run again.
void Tuner::use_history(Request& request, const std::vector<Record>& history, const bp_op& op, const Watch& watch) {
  const std::vector<host::Variant> variants = device_->variants(op);
  for (const Record& record : history) {
    for (const Candidate* row : dangerous_in(record, variants, fingerprint_))
      request.blocked.try_emplace(row->variant, seen_before(row->verdict, row->reason));
  }
  std::string why;
  const std::optional<Known> before = best_of(history, op, variants, why);
  if (before) request.incumbent = before->record.outcome.chosen;
  const Record& nearest = before ? before->record : history.front();
  if (!watch.anew && nearest.outcome.decided) request.kept = inherit(nearest, op, variants, fingerprint_).kept;
}

}  // namespace backplane::autotune
