// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "backplane/sdk/convert.h"
#include "backplane/sdk/error.hpp"

namespace backplane::test {
namespace {

using sdk::Failure;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

[[noreturn]] void fail(bp_status code, const char* text, uint32_t scope = BP_SCOPE_CALL) {
  throw Failure(code, text, scope);
}

/// c over the first `k` terms of each sum, each product and sum passed through `round`.
template <class Round>
void multiply_rounded(const Launch& l, int64_t first, int64_t last, Round round) {
  for (int64_t i = 0; i < l.m; ++i) {
    for (int64_t j = 0; j < l.n; ++j) {
      float sum = 0;
      for (int64_t k = first; k < last; ++k) sum = round(sum + round(l.a[i * l.k + k] * l.b[k * l.n + j]));
      l.c[i * l.n + j] = sum;
    }
  }
}
void multiply_terms(const Launch& l, int64_t first, int64_t last) {
  multiply_rounded(l, first, last, [](float x) { return x; });
}
void good_then(const Launch& l, int64_t element, float value) {
  l.multiply();
  l.c[element] = value;
}
bool later(const Launch& l, uint64_t launches) { return l.number >= launches; }

// Numbers of the launches: the gate has 4, a race has hundreds.
constexpr uint64_t kAfterGate = 12;

const FaultyVariant kFaults[] = {
    // results
    {"writes-nothing", "wrong", [](const Launch&) {}},
    {"zeros", "wrong", [](const Launch& l) { std::memset(l.c, 0, static_cast<size_t>(l.m * l.n) * 4); }},
    {"first-element-missing", "wrong", [](const Launch& l) { const float old = l.c[0]; good_then(l, 0, old); }},
    {"last-element-missing", "wrong",
     [](const Launch& l) { const float old = l.c[l.m * l.n - 1]; good_then(l, l.m * l.n - 1, old); }},
    {"last-row-missing", "wrong", [](const Launch& l) { Launch part = l; --part.m; part.multiply(); }},
    {"last-column-missing", "wrong",
     [](const Launch& l) {
       std::memcpy(l.scratch, l.c, static_cast<size_t>(l.m * l.n) * 4);
       l.multiply();
       for (int64_t i = 0; i < l.m; ++i) l.c[i * l.n + l.n - 1] = l.scratch[i * l.n + l.n - 1];
     }},
    {"half-written", "wrong", [](const Launch& l) { Launch part = l; part.m /= 2; part.multiply(); }},
    {"whole-tiles-only", "wrong", [](const Launch& l) { Launch part = l; part.m = l.m / 16 * 16; part.multiply(); }},
    {"zero-at-tile-edge", "wrong", [](const Launch& l) { good_then(l, (l.m - 1) / 16 * 16 * l.n, 0); }},
    {"last-term-missing", "wrong", [](const Launch& l) { multiply_terms(l, 0, l.k - 1); }},
    {"first-term-missing", "wrong", [](const Launch& l) { multiply_terms(l, 1, l.k); }},
    {"rest-of-k-missing", "wrong", [](const Launch& l) { multiply_terms(l, 0, l.k / 8 * 8); }},
    {"adds-to-output", "wrong",
     [](const Launch& l) {
       std::memcpy(l.scratch, l.c, static_cast<size_t>(l.m * l.n) * 4);
       l.multiply();
       for (int64_t e = 0; e < l.m * l.n; ++e) l.c[e] += l.scratch[e];
     }},
    {"one-nan", "wrong", [](const Launch& l) { good_then(l, l.m * l.n / 2, kNaN); }},
    {"all-nan", "wrong", [](const Launch& l) { for (int64_t e = 0; e < l.m * l.n; ++e) l.c[e] = kNaN; }},
    {"one-infinity", "wrong", [](const Launch& l) { good_then(l, 3, std::numeric_limits<float>::infinity()); }},
    {"negated", "wrong",
     [](const Launch& l) { l.multiply(); for (int64_t e = 0; e < l.m * l.n; ++e) l.c[e] = -l.c[e]; }},
    {"one-per-mille-off", "wrong",
     [](const Launch& l) { l.multiply(); for (int64_t e = 0; e < l.m * l.n; ++e) l.c[e] *= 1.001f; }},
    {"one-element-slightly-off", "wrong", [](const Launch& l) { l.multiply(); l.c[5] += 2e-4f; }},
    {"two-swapped", "wrong", [](const Launch& l) { l.multiply(); std::swap(l.c[0], l.c[1]); }},
    {"rows-swapped", "wrong",
     [](const Launch& l) { l.multiply(); for (int64_t j = 0; j < l.n; ++j) std::swap(l.c[j], l.c[l.n + j]); }},
    {"shifted-by-one", "wrong",
     [](const Launch& l) { l.multiply(); std::memmove(l.c + 1, l.c, static_cast<size_t>(l.m * l.n - 1) * 4); }},
    {"bf16-inputs-undeclared", "wrong",
     [](const Launch& l) { multiply_rounded(l, 0, l.k, [](float x) { return bp_sdk_round_to(BP_BF16, x); }); }},
    {"f16-sums-undeclared", "wrong",
     [](const Launch& l) { multiply_rounded(l, 0, l.k, [](float x) { return bp_sdk_round_to(BP_F16, x); }); }},
    {"reads-workspace", "wrong",
     [](const Launch& l) { l.multiply(); l.c[0] += l.workspace[0]; }, 0, 0, BP_DETERMINISM_RUN, 64, 64},
    // memory
    {"one-element-too-many", "overrun", [](const Launch& l) { l.multiply(); l.c[l.m * l.n] = 1; }},
    {"one-element-before", "overrun", [](const Launch& l) { l.multiply(); l.c[-1] = 1; }},
    {"a-whole-tile-too-many", "overrun",
     [](const Launch& l) { l.multiply(); for (int i = 0; i < 256; ++i) l.c[l.m * l.n + i] = 0; }},
    {"far-beyond", "overrun", [](const Launch& l) { l.multiply(); l.c[l.m * l.n + 900] = 0; }},
    {"beyond-workspace", "overrun", [](const Launch& l) { l.multiply(); l.workspace[l.workspace_bytes / 4] = 0; }, 0, 0,
     BP_DETERMINISM_RUN, 256, 256},
    {"before-workspace", "overrun", [](const Launch& l) { l.multiply(); l.workspace[-1] = 0; }, 0, 0,
     BP_DETERMINISM_RUN, 256, 256},
    {"unlisted-workspace", "overrun", [](const Launch& l) { l.multiply(); l.workspace[0] = 0; }},
    {"before-an-input", "overrun", [](const Launch& l) { l.multiply(); l.a[-1] = 0; }},
    {"changes-first-input", "changed_inputs", [](const Launch& l) { l.multiply(); l.a[0] += 1; }},
    {"changes-second-input", "changed_inputs", [](const Launch& l) { l.multiply(); l.b[l.k * l.n - 1] = 0; }},
    {"packs-input-in-place", "changed_inputs",
     [](const Launch& l) { l.multiply(); std::swap(l.b[0], l.b[1]); }},
    // bits
    {"other-bits-each-time", "nondeterministic",
     [](const Launch& l) { l.multiply(); l.c[0] = std::nextafter(l.c[0], l.number % 2 == 0 ? 1e9f : -1e9f); }},
    {"other-bits-at-times", "nondeterministic",
     [](const Launch& l) { l.multiply(); if (l.number == 2) l.c[1] = std::nextafter(l.c[1], 1e9f); }},
    {"forbidden-other-bits", "policy", [](const Launch& l) { l.multiply(); }, 0, BP_NOTE_ATOMICS, BP_DETERMINISM_NONE},
    // at times, or later
    {"wrong-every-third", "wrong", [](const Launch& l) { l.multiply(); if (l.number % 3 == 2) l.c[0] += 1; }},
    {"wrong-later", "wrong", [](const Launch& l) { l.multiply(); if (later(l, kAfterGate)) l.c[0] += 1; }},
    {"remembers-first-result", "wrong",
     [](const Launch& l) {
       const auto bytes = static_cast<size_t>(l.m * l.n) * 4;
       if (l.number == 0) l.multiply(), std::memcpy(l.scratch, l.c, bytes);
       else std::memcpy(l.c, l.scratch, bytes);
     }},
    // the device's answers
    {"does-not-compile", "failed", nullptr, 0, 0, BP_DETERMINISM_RUN, 0, 0, 1e6, false},
    {"compiles-for-a-minute", "slow_build", [](const Launch& l) { l.multiply(); }, BP_VARIANT_SLOW_BUILD, 0,
     BP_DETERMINISM_RUN, 0, 0, 60e9},
    {"fails-in-the-queue", "failed", [](const Launch&) { fail(BP_E_INTERNAL, "[virtual] the launch failed"); }},
    {"out-of-memory", "failed", [](const Launch&) { fail(BP_E_OUT_OF_MEMORY, "[virtual] no memory for the launch"); }},
    {"fails-later", "failed",
     [](const Launch& l) {
       if (later(l, kAfterGate)) fail(BP_E_INTERNAL, "[virtual] a late launch failed");
       l.multiply();
     }},
    {"another-variant", "failed", [](const Launch& l) { l.multiply(); }, 0, 0, BP_DETERMINISM_RUN, 0, 0, 1e6, true,
     false, "good"},
    {"more-workspace-than-listed", "failed", [](const Launch& l) { l.multiply(); }, 0, 0, BP_DETERMINISM_RUN, 64, 4096},
    {"more-workspace-than-allowed", "policy", [](const Launch& l) { l.multiply(); }, 0, 0, BP_DETERMINISM_RUN, 1 << 20,
     1 << 20},
    {"forbidden-tf32", "policy", [](const Launch& l) { l.multiply(); }, 0, BP_NOTE_TF32},
    {"leaks", "leaks", [](const Launch& l) { l.multiply(); *l.leaked += 4096; }},
    {"crashes", "crashed", [](const Launch&) { std::abort(); }, BP_VARIANT_RISKY},
    {"crashes-later", "crashed",
     [](const Launch& l) { l.multiply(); if (later(l, kAfterGate)) std::raise(SIGSEGV); }, BP_VARIANT_RISKY},
    {"crashes-when-built", "crashed", nullptr, BP_VARIANT_RISKY, 0, BP_DETERMINISM_RUN, 0, 0, 1e6, true, false, nullptr,
     true},
    {"ends-the-process", "crashed", [](const Launch&) { ::_exit(3); }, BP_VARIANT_RISKY},
    {"blocks-for-ever", "hung", [](const Launch&) { while (true) ::pause(); }, BP_VARIANT_RISKY},
    {"risky-and-wrong", "wrong", [](const Launch&) {}, BP_VARIANT_RISKY},
    {"hangs", "hung", [](const Launch& l) { *l.hung = true; }},
    {"hangs-later", "hung", [](const Launch& l) { l.multiply(); *l.hung = later(l, kAfterGate); }, 0, 0,
     BP_DETERMINISM_RUN, 0, 0, 1e6, true, true},
    {"loses-the-device", "device_lost",
     [](const Launch&) { fail(BP_E_DEVICE_LOST, "[virtual] gone", BP_SCOPE_DEVICE); }, 0, 0,
     BP_DETERMINISM_RUN, 0, 0, 1e6, true, true},
    {"loses-the-device-later", "device_lost",
     [](const Launch& l) {
       if (later(l, kAfterGate)) fail(BP_E_DEVICE_LOST, "[virtual] gone later", BP_SCOPE_DEVICE);
       l.multiply();
     },
     0, 0, BP_DETERMINISM_RUN, 0, 0, 1e6, true, true},
};

const FaultyVariant kDeadly[] = {
    {"dies-when-checked", "crashed", [](const Launch&) { std::abort(); }},
    {"dies-in-the-race", "crashed",
     [](const Launch& l) { l.multiply(); if (later(l, kAfterGate)) std::abort(); }},
    {"blocks-when-checked", "hung", [](const Launch&) { while (true) ::pause(); }},
};

}  // namespace

void Launch::multiply() const { multiply_terms(*this, 0, k); }

std::span<const FaultyVariant> faulty_variants() { return kFaults; }
std::span<const FaultyVariant> deadly_variants() { return kDeadly; }

}  // namespace backplane::test
