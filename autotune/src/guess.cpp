// SPDX-License-Identifier: Apache-2.0
#include "guess.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace backplane::autotune {
namespace {

constexpr double kErrors = 2;
constexpr double kUncompared = 0.1;  // error of a ratio of medians that are not of the same rounds
constexpr double kIntervalErrors = 1.96;  // half of a stored interval

std::string percent_less(double log_ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * (1 - std::exp(log_ratio)));
  return text;
}

}  // namespace

Guess surest(const bp_op& op, const std::vector<host::Variant>& variants, const std::vector<std::string>& faulty,
             const std::string& by, const Expect& expect) {
  const auto usual =
      std::ranges::find_if(variants, [](const host::Variant& v) { return (v.flags & BP_VARIANT_DEFAULT) != 0; });
  if (usual == variants.end()) return {};
  const std::string than = " less time than " + usual->name + " by " + by;
  Guess sure, unsure;
  double least = -std::log1p(kMargin), most = least;
  for (const host::Variant& each : variants) {
    const bool out = (each.flags & (BP_VARIANT_DEFAULT | BP_VARIANT_RISKY)) != 0 || !forbidden(op, each).empty() ||
                     std::ranges::find(faulty, each.name) != faulty.end();
    const auto expected = out ? std::nullopt : expect(each.name, usual->name);
    if (!expected) continue;
    const double at_least = expected->value + kErrors * expected->error;
    const std::string range = percent_less(expected->value) + " % (" + percent_less(at_least) + " % at least)";
    if (at_least < least) least = at_least, sure = {each.name, range + than};
    if (expected->value < most)
      most = expected->value, unsure = {"", each.name + " may take " + range + than + ": not sure enough"};
  }
  return sure.variant.empty() ? unsure : sure;
}

const Candidate* default_of(const Outcome& outcome) {
  for (const Candidate& each : outcome.candidates) {
    if (each.is_default && is_right(each.verdict) && each.times.samples > 0) return &each;
  }
  return nullptr;
}

std::optional<Prediction> measured_ratio(const Candidate& c, const Candidate& usual) {
  if (!is_right(c.verdict) || c.times.samples == 0) return std::nullopt;
  if (&c == &usual) return Prediction{0, 0};
  if (c.verdict != Verdict::slow && std::isfinite(c.log_ratio.half_width()))
    return Prediction{c.log_ratio.mean, c.log_ratio.half_width() / kIntervalErrors};
  if (usual.times.samples == 0) return std::nullopt;
  return Prediction{std::log(c.times.median_ns / usual.times.median_ns), kUncompared};
}

std::vector<std::string> faulty_in(const std::vector<Record>& records) {
  std::vector<std::string> names;
  for (const Record& record : records) {
    for (const Candidate& each : record.outcome.candidates) {
      if (is_faulty(each.verdict)) names.push_back(each.variant);
    }
  }
  return names;
}

}  // namespace backplane::autotune
