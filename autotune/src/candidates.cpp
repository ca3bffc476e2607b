// SPDX-License-Identifier: Apache-2.0
#include "candidates.h"

#include <algorithm>

namespace backplane::autotune {
namespace {

constexpr double kUnpromising = 10;  // x the default
constexpr double kShortNs = 2e6;     // a launch that is not worth thinking about

}  // namespace

std::vector<host::Variant> ordered_variants(const host::DevicePtr& device, const bp_op& op, const Request& request) {
  std::vector<host::Variant> variants = device->variants(op);
  const auto rank = [&](const host::Variant& v) {
    if ((v.flags & BP_VARIANT_DEFAULT) != 0) return -2.0;
    if (v.name == request.incumbent) return -1.0;
    if (const auto known = request.priors.find(v.name); known != request.priors.end()) return known->second;
    return v.prior > 0 ? 1e15 * v.prior : 1e18;
  };
  std::stable_sort(variants.begin(), variants.end(),
                   [&](const host::Variant& a, const host::Variant& b) { return rank(a) < rank(b); });
  return variants;
}

std::string unpromising(const host::Variant& variant, const std::string& default_variant, double best_ns,
                        const Request& request) {
  const auto prior = [&](const std::string& name) {
    const auto known = request.priors.find(name);
    return known != request.priors.end() ? known->second : 0.0;
  };
  const double measured = prior(variant.name), of_default = prior(default_variant);
  const bool known = measured > 0 && of_default > 0;
  const double ratio = known ? measured / of_default : variant.prior;
  if (variant.name == request.incumbent || ratio < kUnpromising || ratio * best_ns < kShortNs) return {};
  return (known ? "by earlier measurements " : "by the plugin's guess ") + std::to_string(static_cast<int>(ratio)) +
         " x the default";
}

}  // namespace backplane::autotune
