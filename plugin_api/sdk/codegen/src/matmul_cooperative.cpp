// SPDX-License-Identifier: Apache-2.0
// Matmul by cooperative matrices (kernels/matmul_cooperative.kernel): f16 or bf16 in, f32 sums. For f16 and bf16
// operands, whose products are exact, and for f32 where the operation allows its operands to be rounded (BP_MATH_FAST).
//
// The fragments' names: GLSL's are of GL_NV_cooperative_matrix; CUDA's are PTX's wmma (sm_70, bf16 sm_80), by the
// instructions themselves, as mma.h would have to be found at run time. No such device has run this yet.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "product.h"
#include "team.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

struct Tiling {
  uint32_t warps_m, warps_n, frags_m, frags_n, k;
  int64_t least;  ///< rows and columns it is for
};
constexpr Tiling kTilings[] = {{4, 2, 2, 4, 32, 256}, {2, 2, 2, 2, 32, 0}};

constexpr std::string_view kGlslFragments = R"(
#define FRAG_A fcoopmatNV<16, gl_ScopeSubgroup, FRAG_ROWS, FRAG_INNER>
#define FRAG_B fcoopmatNV<16, gl_ScopeSubgroup, FRAG_INNER, FRAG_COLUMNS>
#define FRAG_C fcoopmatNV<32, gl_ScopeSubgroup, FRAG_ROWS, FRAG_COLUMNS>
#define FRAG_ZERO(c) c = FRAG_C(0.0);
#define FRAG_LOAD_A(f, array, at, apart) coopMatLoadNV(f, array, at, apart, false);
#define FRAG_LOAD_B(f, array, at, apart) coopMatLoadNV(f, array, at, apart, false);
#define FRAG_MULADD(c, a, b) c = coopMatMulAddNV(a, b, c);
#define FRAG_STORE(c, array, at, apart) coopMatStoreNV(c, array, at, apart, false);
)";

/// Eight lists of operands "%0, %1, ..." and of constraints are what differs between the element types.
std::string numbers(int first, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += (i != 0 ? ", %" : "%") + std::to_string(first + i);
  return "{" + text + "}";
}
std::string registers(const char* constraint, const char* of, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::string(i != 0 ? ", \"" : "\"") + constraint + "\"(" + of + ".r[" + std::to_string(i) + "])";
  }
  return text;
}

std::string cuda_fragments(uint32_t dtype) {
  const int each = dtype == BP_F16 ? 8 : 4;  // 32-bit registers of an operand's fragment
  const std::string type = dtype == BP_F16 ? "f16" : "bf16", shape = ".sync.aligned.row.m16n16k16.";
  const std::string types = dtype == BP_F16 ? "f32.f32" : "f32.bf16.bf16.f32";
  std::string text = "struct bp_frag { uint r[" + std::to_string(each) +
                     "]; };\nstruct bp_sums { float r[8]; };\n#ifdef __CUDA_ARCH__\n";
  for (const char* which : {"a", "b"}) {
    text += std::string("FN void bp_load_") + which +
            "(bp_frag& f, const unsigned short* p, int apart) {\n  asm volatile(\"wmma.load." + which + shape + type +
            " " + numbers(0, each) + ", [%" + std::to_string(each) + "], %" + std::to_string(each + 1) +
            ";\" : " + registers("=r", "f", each) + " : \"l\"(p), \"r\"(apart) : \"memory\");\n}\n";
  }
  text += "FN void bp_store(const bp_sums& c, float* p, int apart) {\n  asm volatile(\"wmma.store.d" + shape +
          "f32 [%0], " + numbers(1, 8) + ", %9;\" : : \"l\"(p), " + registers("f", "c", 8) +
          ", \"r\"(apart) : \"memory\");\n}\n";
  text +=
      "FN void bp_muladd(bp_sums& c, const bp_frag& a, const bp_frag& b) {\n  asm "
      "volatile(\"wmma.mma.sync.aligned.row.row.m16n16k16." +
      types + " " + numbers(0, 8) + ", " + numbers(8, each) + ", " + numbers(8 + each, each) + ", " + numbers(0, 8) +
      ";\" : " + registers("+f", "c", 8) + " : " + registers("r", "a", each) + ", " + registers("r", "b", each) +
      ");\n}\n";
  return text + R"(#endif
#define FRAG_A bp_frag
#define FRAG_B bp_frag
#define FRAG_C bp_sums
#define FRAG_ZERO(c) _Pragma("unroll") for (int bp_i = 0; bp_i < 8; ++bp_i) (c).r[bp_i] = 0.0f;
#define FRAG_LOAD_A(f, array, at, apart) bp_load_a(f, (array) + (at), apart);
#define FRAG_LOAD_B(f, array, at, apart) bp_load_b(f, (array) + (at), apart);
#define FRAG_MULADD(c, a, b) bp_muladd(c, a, b);
#define FRAG_STORE(c, array, at, apart) bp_store(c, (array) + (at), apart);
)";
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

Recipe build(const std::string& prefix, const Product& p, const DeviceFacts& facts, const CooperativeMatrix& shape,
             const Tiling& t) {
  const bool cuda = facts.dialect == Dialect::cuda;
  const uint32_t tile_m = t.warps_m * t.frags_m * shape.m, tile_n = t.warps_n * t.frags_n * shape.n;
  Source source(facts, prefix + "cooperative");
  if (!cuda) source.extension("GL_KHR_memory_scope_semantics"), source.extension("GL_NV_cooperative_matrix");
  declare_vectors(source, 1, p.dtype);
  declare_extents(source, p);
  p.operands(source);
  p.result(source);
  declare_subgroup(source);
  source.define("FRAG_ROWS", shape.m), source.define("FRAG_COLUMNS", shape.n), source.define("FRAG_INNER", shape.k);
  source.define("FRAGS_M", t.frags_m), source.define("FRAGS_N", t.frags_n);
  source.define("WARPS_M", t.warps_m), source.define("WARPS_N", t.warps_n);
  source.define("TILE_M", tile_m), source.define("TILE_N", tile_n), source.define("TILE_K", t.k);
  source.define("A_ALONG_K", p.a_along_k ? 1 : 0), source.define("B_ALONG_K", p.b_along_k ? 1 : 0);
  source.text(cuda ? cuda_fragments(shape.dtype) : std::string(kGlslFragments));
  source.define("TO_NARROW(x)", !cuda                   ? "float16_t(x)"
                                : shape.dtype == BP_F16 ? "bp_float_to_half(x)"
                                                        : "((unsigned short)bp_f32_to_bf16(x))");
  // wmma's addresses are multiples of 32 bytes.
  const std::string narrow =
      std::string(cuda ? "__align__(32) " : "") + std::string(storage_type(facts.dialect, shape.dtype));
  source.local_array(narrow, "tile_a", std::to_string(tile_m * (t.k + 8)));
  source.local_array(narrow, "tile_b", std::to_string(t.k * (tile_n + 8)));
  source.local_array(cuda ? "__align__(32) float" : "float", "tile_c",
                     std::to_string(t.warps_m * t.warps_n * shape.m * shape.n));
  const int64_t row_tiles = divide_up(p.m, tile_m), column_tiles = divide_up(p.n, tile_n);
  source.param("row_tiles", row_tiles);
  source.param("column_tiles", column_tiles);
  const int64_t tiles = row_tiles * column_tiles * p.batch;
  source.param("tiles", tiles);
  const LinearGrid grid = linear_grid(tiles, facts, 1);
  source.param("grid_x", grid.grid[0]);
  return {{source.finish(kernel_text("matmul_cooperative"), {t.warps_m * t.warps_n * facts.subgroup_size, 1, 1},
                         grid.grid)}};
}

bool fits(const DeviceFacts& facts, const CooperativeMatrix& s, const Tiling& t) {
  const uint32_t warps = t.warps_m * t.warps_n, tile_m = t.warps_m * t.frags_m * s.m,
                 tile_n = t.warps_n * t.frags_n * s.n;
  const uint64_t local = 2ull * (tile_m * (t.k + 8) + t.k * (tile_n + 8)) + 4ull * warps * s.m * s.n;
  return warps * facts.subgroup_size <= std::min(facts.max_group_size, facts.max_group_extent[0]) &&
         local <= facts.local_bytes && t.k % s.k == 0;
}

}  // namespace

void list_cooperative(const std::string& prefix, const Product& p, const DeviceFacts& facts, uint32_t math_mode,
                      Variants& out) {
  if (facts.subgroup_size == 0) return;
  for (const CooperativeMatrix& shape : facts.cooperative) {
    const bool rounds = p.dtype == BP_F32 && math_mode == BP_MATH_FAST;
    if (shape.dtype != p.dtype && !rounds) continue;
    for (const Tiling& t : kTilings) {
      if (std::min(p.m, p.n) < t.least || !fits(facts, shape, t)) continue;
      out.push_back({.name = prefix + "cooperative@" + sdk::dtype_name(shape.dtype) + ",f=" + std::to_string(shape.m) +
                             "x" + std::to_string(shape.n) + "x" + std::to_string(shape.k) +
                             ",w=" + std::to_string(t.warps_m) + "x" + std::to_string(t.warps_n),
                     .prior = 0.3,
                     .steps = static_cast<uint64_t>(p.k / t.k + 1) * 64,
                     .notes = BP_NOTE_TENSOR_CORE | (rounds ? uint32_t{BP_NOTE_REDUCED_INPUTS} : 0u),
                     .build = [=] { return build(prefix, p, facts, shape, t); }});
    }
  }
}

}  // namespace backplane::codegen
