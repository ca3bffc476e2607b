// SPDX-License-Identifier: Apache-2.0
#include "heritage.h"

#include <algorithm>

namespace backplane::autotune {
namespace {

bool same_code(const Candidate& row, const host::Variant& variant, bool same_build) {
  const bool hashed = row.code_hash != 0 && variant.code_hash != 0;
  return hashed ? row.code_hash == variant.code_hash : same_build;
}

const host::Variant* find_variant(const std::vector<host::Variant>& variants, const std::string& name) {
  const auto found = std::ranges::find(variants, name, &host::Variant::name);
  return found != variants.end() ? &*found : nullptr;
}

/// As it was when `record` was made. What the same build measured need not have a row: imports may be short.
bool is_unchanged(const host::Variant& variant, const Record& record, bool same_build) {
  const Candidate* row = record.outcome.find(variant.name);
  return row != nullptr ? same_code(*row, variant, same_build) : same_build;
}

bool same_default(const host::Variant& usual, const Record& record, bool same_build) {
  const Candidate* row = record.outcome.find(usual.name);
  return is_unchanged(usual, record, same_build) && (row == nullptr || row->is_default);
}

/// Not worth another race: the choice, of the same code, was no worse; or without it the default was surely better.
bool is_settled(const Candidate& row, const Candidate* usual, bool same_choice) {
  if (is_faulty(row.verdict)) return true;
  if (!is_right(row.verdict) || usual == nullptr) return false;
  if (same_choice) return true;
  return row.verdict == Verdict::slow ? row.times.median_ns > usual->times.median_ns : row.log_ratio.low > 0;
}

}  // namespace

Heritage inherit(const Record& record, const bp_op& op, const std::vector<host::Variant>& variants,
                 const Fingerprint& now) {
  const bool same_build = record.device.build == now.build;
  const std::string& chosen = record.outcome.chosen;
  const host::Variant *usual = nullptr, *choice = find_variant(variants, chosen);
  size_t changed = 0;
  for (const host::Variant& each : variants) {
    if ((each.flags & BP_VARIANT_DEFAULT) != 0) usual = &each;
    changed += !is_unchanged(each, record, same_build) && forbidden(op, each).empty();
  }
  const bool default_holds = usual != nullptr && same_default(*usual, record, same_build);
  const bool choice_holds = choice != nullptr && is_unchanged(*choice, record, same_build);
  Heritage heritage;
  if (default_holds && choice_holds && changed == 0) {
    heritage.holds = Heritage::Holds::all;
    return heritage;
  }
  if (default_holds && choice_holds) {
    heritage.holds = Heritage::Holds::choice;
    heritage.why = std::to_string(changed) + " of " + std::to_string(variants.size()) + " variants have changed since";
  } else {
    heritage.why = choice_holds ? "the default has changed since" : chosen + " has changed since";
  }
  const Candidate* of_default = default_holds ? record.outcome.find(usual->name) : nullptr;
  for (const Candidate& row : record.outcome.candidates) {
    const host::Variant* variant = find_variant(variants, row.variant);
    if (variant == nullptr || variant == usual || (choice_holds && variant == choice)) continue;
    if (!same_code(row, *variant, same_build) || !is_settled(row, of_default, choice_holds)) continue;
    Candidate& kept = heritage.kept.emplace_back(row);
    kept.is_default = false;
    if (kept.reason.empty()) kept.reason = "not raced again: its code has not changed";
  }
  return heritage;
}

bool keep_unchanged(Record& record, const std::vector<host::Variant>& variants, const Fingerprint& now) {
  const bool same_build = record.device.build == now.build;
  std::erase_if(record.outcome.candidates, [&](const Candidate& row) {
    const host::Variant* variant = find_variant(variants, row.variant);
    return variant == nullptr || !same_code(row, *variant, same_build);
  });
  return std::ranges::any_of(record.outcome.candidates, &Candidate::is_default);
}

std::vector<const Candidate*> dangerous_in(const Record& record, const std::vector<host::Variant>& variants,
                                           const Fingerprint& now) {
  const bool same_build = record.device.build == now.build;
  std::vector<const Candidate*> list;
  for (const Candidate& row : record.outcome.candidates) {
    const host::Variant* variant = find_variant(variants, row.variant);
    const bool deadly =
        row.verdict == Verdict::crashed || row.verdict == Verdict::hung || row.verdict == Verdict::device_lost;
    if (deadly && variant != nullptr && same_code(row, *variant, same_build)) list.push_back(&row);
  }
  return list;
}

}  // namespace backplane::autotune
