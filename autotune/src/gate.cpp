// SPDX-License-Identifier: Apache-2.0
#include "gate.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace backplane::autotune {
namespace {

/// As floats both are NaN or far out of range, and they differ: what is left out or read before it is written shows.
constexpr uint8_t kPoisons[] = {0xFF, 0x7F};

bool same_bits(const std::vector<Memory>& a, const std::vector<Memory>& b) {
  for (size_t j = 0; j < a.size(); ++j) {
    bool same = true;
    const size_t size = a[j].size_of_element();
    if (a[j].bytes.size() == static_cast<size_t>(a[j].elements()) * size) {  // no gaps
      if (!a[j].bytes.empty() && std::memcmp(a[j].bytes.data(), b[j].bytes.data(), a[j].bytes.size()) != 0)
        return false;
      continue;
    }
    each_element(a[j].desc, [&](int64_t at) {
      const auto first = static_cast<size_t>(static_cast<int64_t>(a[j].origin) + at * static_cast<int64_t>(size));
      for (size_t i = first; i < first + size; ++i) same = same && a[j].bytes[i] == b[j].bytes[i];
    });
    if (!same) return false;
  }
  return true;
}

std::string wrong_text(const Difference& d) {
  char text[80];
  std::snprintf(text, sizeof text, "; error %.1e, allowed %.1e", d.error, d.allowed);
  return d.where + text;
}

}  // namespace

void check_promises(const bp_op& op, const host::Variant& variant, const host::Kernel& kernel) {
  const auto bytes = [](uint64_t n) { return std::to_string(n) + " bytes"; };
  if (kernel.variant != variant.name) throw Fault{Verdict::failed, "prepare made '" + kernel.variant + "' of it"};
  if (kernel.workspace > variant.workspace)
    throw Fault{Verdict::failed, "needs a workspace of " + bytes(kernel.workspace) + ", and was listed with " +
                                     bytes(variant.workspace)};
  if (kernel.workspace > op.max_workspace)
    throw Fault{Verdict::policy,
                "needs a workspace of " + bytes(kernel.workspace) + ", allowed are " + bytes(op.max_workspace)};
}

Checked check_variant(Rig& rig, Problem& problem, const host::Variant& variant, const host::Kernel& kernel,
                      const Effort& effort) {
  const int launches = effort.launches;
  Checked checked;
  std::vector<Memory> first;
  int grew = 0;
  int64_t first_wall = 0;
  for (int i = 0; i < launches; ++i) {
    // The first launch says little about the second.
    if (!effort.fits(i == 1 ? 0 : checked.ns)) throw Fault{Verdict::over_budget, "no time left to check it"};
    rig.reset(problem, kPoisons[i % 2]);
    const uint64_t before = rig.used_bytes();
    const int64_t start = effort.now_ns();
    const double ns = rig.time(kernel, 1);
    const int64_t wall = effort.now_ns() - start;
    if (i == 0) first_wall = wall;
    if (i == 1 && first_wall > 4 * wall) effort.on_lazy_build(static_cast<uint64_t>(first_wall - wall));
    grew += rig.used_bytes() > before;
    checked.ns = i == 0 ? ns : std::min(checked.ns, ns);
    checked.hopeless = checked.ns > (i > 0 ? effort.hopeless_ns : effort.first_hopeless_ns);
    const bool last = i == launches - 1 || checked.hopeless;
    std::vector<Memory> results = rig.outputs(problem);
    const bool repeated = i > 0 && same_bits(first, results);
    Difference difference;
    if (!repeated) {
      difference = compare(problem.op(), problem.expected(), results, variant.numeric_notes);
      if (i == 0 || difference.error > checked.difference.error) checked.difference = difference;
    }
    const bool other_bits = i > 0 && !repeated && variant.determinism >= BP_DETERMINISM_RUN;
    // What a launch did to its surroundings explains what is wrong with results. In between would say no more.
    if (i == 0 || last || !difference.ok || other_bits) rig.check_surroundings(problem);
    if (!difference.ok) throw Fault{Verdict::wrong, wrong_text(difference)};
    if (other_bits)
      throw Fault{Verdict::nondeterministic, "launch " + std::to_string(i + 1) + " gave other bits than the first"};
    if (checked.hopeless) return checked;
    if (i == 0) first = std::move(results);
  }
  // The first launch may build a cache; nothing needs more memory every time.
  if (launches >= 3 && grew >= launches - 1) throw Fault{Verdict::leaks, "holds more memory after every launch"};
  return checked;
}

}  // namespace backplane::autotune
