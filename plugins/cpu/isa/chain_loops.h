// SPDX-License-Identifier: Apache-2.0
// Chains of f32 arithmetic whose value stays in registers from one operation to the next.
//
// Eight vectors are the accumulator. Each stage is a function that takes them as arguments, applies one operation, and
// calls the next stage with the result: the compiler turns those calls into jumps, so the vectors never leave their
// registers and an operation costs neither a load nor a store of its own. (Where it does not, the calls nest as deep as
// the chain is long, and the results are the same.) The idea is that of raster pipelines in graphics.
// Every stage rounds like the loop in scalar_loops.h for the same code: no multiplication contracts with an addition.
// Not here: other types, functions and selections, and what is left of a block after whole bundles of eight vectors;
// those take the loops.
#pragma once

#include "isa/isa_table.h"
#include "isa/wide.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kBundle = 8 * kWide;  // elements

#define BP_STAGE \
  const Stage *stage, void *const *address, int64_t at, Wide v0, Wide v1, Wide v2, Wide v3, Wide v4, Wide v5, Wide v6, \
      Wide v7
using StageLoop = void (*)(BP_STAGE);
#define BP_EACH(f) v0 = f(0, v0), v1 = f(1, v1), v2 = f(2, v2), v3 = f(3, v3), v4 = f(4, v4), v5 = f(5, v5), \
    v6 = f(6, v6), v7 = f(7, v7)
#define BP_NEXT \
  return reinterpret_cast<StageLoop>(stage[1].run)(stage + 1, address, at, v0, v1, v2, v3, v4, v5, v6, v7)

inline float* stage_operand(const Stage* stage, void* const* address, int64_t at) {
  return static_cast<float*>(address[stage->address]) + at;
}

struct WideSub {
  Wide operator()(Wide a, Wide b) const { return a - b; }
};
struct WideMul {
  Wide operator()(Wide a, Wide b) const { return a * b; }
};
struct WideAdd {
  Wide operator()(Wide a, Wide b) const { return a + b; }
};
struct WideDiv {
  Wide operator()(Wide a, Wide b) const { return a / b; }
};
// wide_max gives b where either is NaN: take a back where it is the one.
#if defined(__AVX512F__)
struct WideMax {
  Wide operator()(Wide a, Wide b) const {
    return _mm512_mask_max_ps(a, _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a, b);
  }
};
struct WideMin {
  Wide operator()(Wide a, Wide b) const {
    return _mm512_mask_min_ps(a, _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a, b);
  }
};
#else
struct WideMax {
  Wide operator()(Wide a, Wide b) const { return a != a ? a : wide_max(a, b); }
};
struct WideMin {
  Wide operator()(Wide a, Wide b) const { return a != a ? a : wide_min(a, b); }
};
#endif
struct WideNeg {
  Wide operator()(Wide a) const { return -a; }
};
struct WideAbs {
  Wide operator()(Wide a) const { return reinterpret_cast<Wide>(reinterpret_cast<WideInt>(a) & 0x7fffffff); }
};
struct WideSqrt {
  Wide operator()(Wide a) const {
#if defined(__AVX512F__)
    return _mm512_maskz_sqrt_ps(0xffff, a);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(a);
#else
    return _mm_sqrt_ps(a);
#endif
  }
};

template <class F, StageForm Form>
void binary_stage(BP_STAGE) {
  const F f;
  const float* p = Form == kAccMem || Form == kMemAcc ? stage_operand(stage, address, at) : nullptr;
  const Wide c = all_lanes(stage->constant);
  const auto apply = [&](int i, Wide v) {
    switch (Form) {
      case kAccMem: return f(v, Whole{}.load(p + i * kWide, 0));
      case kMemAcc: return f(Whole{}.load(p + i * kWide, 0), v);
      case kAccConst: return f(v, c);
      case kConstAcc: return f(c, v);
      default: return f(v, v);
    }
  };
  BP_EACH(apply);
  BP_NEXT;
}
template <class F>
void unary_stage(BP_STAGE) {
  const auto apply = [](int, Wide v) { return F{}(v); };
  BP_EACH(apply);
  BP_NEXT;
}
inline void load_stage(BP_STAGE) {
  const float* p = stage_operand(stage, address, at);
  const auto apply = [&](int i, Wide) { return Whole{}.load(p + i * kWide, 0); };
  BP_EACH(apply);
  BP_NEXT;
}
inline void store_stage(BP_STAGE) {
  float* p = stage_operand(stage, address, at);
  const auto apply = [&](int i, Wide v) { return Whole{}.store(p + i * kWide, v), v; };
  BP_EACH(apply);
  BP_NEXT;
}
inline void stream_wide(float* p, Wide v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, v);
#else
  _mm_stream_ps(p, v);
#endif
}
/// A store past the caches, where the target is aligned for it.
inline void stream_stage(BP_STAGE) {
  float* p = stage_operand(stage, address, at);
  const bool aligned = (reinterpret_cast<uintptr_t>(p) & 63) == 0;
  const auto apply = [&](int i, Wide v) {
    return aligned ? stream_wide(p + i * kWide, v) : Whole{}.store(p + i * kWide, v), v;
  };
  BP_EACH(apply);
  BP_NEXT;
}
/// Asks for an operand's lines `distance` elements ahead, which need not exist.
inline void prefetch_stage(BP_STAGE) {
  const auto* p = reinterpret_cast<const char*>(stage_operand(stage, address, at) + stage->distance);
  for (int64_t line = 0; line < kBundle * 4; line += 64) __builtin_prefetch(p + line);
  BP_NEXT;
}
inline void end_stage(BP_STAGE) {
  static_cast<void>(stage), static_cast<void>(address), static_cast<void>(at);
  static_cast<void>(v0), static_cast<void>(v1), static_cast<void>(v2), static_cast<void>(v3);
  static_cast<void>(v4), static_cast<void>(v5), static_cast<void>(v6), static_cast<void>(v7);
}

/// n is a multiple of IsaTable::bundle.
inline void run_chain(const Stage* stages, void* const* address, int64_t n) {
  const Wide v{};
  for (int64_t at = 0; at < n; at += kBundle) {
    reinterpret_cast<StageLoop>(stages->run)(stages, address, at, v, v, v, v, v, v, v, v);
  }
}

template <StageLoop F>
StageCode stage_code() {
  return reinterpret_cast<StageCode>(F);
}
template <class F>
void fill_stages(IsaTable& t, int code) {
  t.stage[kAccMem][code] = stage_code<binary_stage<F, kAccMem>>();
  t.stage[kMemAcc][code] = stage_code<binary_stage<F, kMemAcc>>();
  t.stage[kAccConst][code] = stage_code<binary_stage<F, kAccConst>>();
  t.stage[kConstAcc][code] = stage_code<binary_stage<F, kConstAcc>>();
  t.stage[kAccAcc][code] = stage_code<binary_stage<F, kAccAcc>>();
}
// Indices are the BP_S_* codes of plugin.h.
inline void fill_chain_table(IsaTable& t) {
  fill_stages<WideAdd>(t, 32), fill_stages<WideSub>(t, 33), fill_stages<WideMul>(t, 34), fill_stages<WideDiv>(t, 35);
  fill_stages<WideMax>(t, 38), fill_stages<WideMin>(t, 39);
  t.stage[kAccAcc][3] = stage_code<unary_stage<WideNeg>>();
  t.stage[kAccAcc][4] = stage_code<unary_stage<WideAbs>>();
  t.stage[kAccAcc][8] = stage_code<unary_stage<WideSqrt>>();
  t.load_stage = stage_code<load_stage>(), t.store_stage = stage_code<store_stage>();
  t.stream_stage = stage_code<stream_stage>(), t.prefetch_stage = stage_code<prefetch_stage>();
  t.end_stage = stage_code<end_stage>();
  t.run_chain = run_chain, t.bundle = kBundle;
}

#undef BP_STAGE
#undef BP_EACH
#undef BP_NEXT

}  // namespace
}  // namespace backplane::cpu
