// SPDX-License-Identifier: Apache-2.0
// The inner loops of the CPU card, as one table of function pointers per instruction set.
//
// isa_unit.cpp is compiled once for each instruction set (x86-64-v2, -v3, -v4) and exports one table; `isa()` in
// cpu_features.h picks the best one that the machine runs. Nothing outside this folder is compiled with target flags,
// and nothing in this folder includes a standard library header whose inline functions could leak into other units.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace backplane::cpu {

/// In which type a scalar program's value is computed and kept while a block is worked on. Values of narrow dtypes are f32
/// numbers that have been rounded.
enum Compute : int { kF32 = 0, kF64 = 1, kI32 = 2, kI64 = 3, kBool = 4, kComputeCount = 5 };

constexpr size_t compute_size(Compute type) { return type == kF64 || type == kI64 ? 8 : type == kBool ? 1 : 4; }

/// Element types of strided loads beyond the compute types.
enum Storage : int { kStorageF16 = 5, kStorageBF16 = 6, kStorageCount = 7 };

/// Dtypes that are computed in f32.
enum Narrow : int { kNarrowF16 = 0, kNarrowBF16 = 1, kNarrowE4M3 = 2, kNarrowE5M2 = 3, kNarrowCount = 4 };

/// y[i] = f(a[i], b[i], c[i]) over n dense elements; y may be exactly a, b or c.
using VectorLoop = void (*)(void* y, const void* a, const void* b, const void* c, int64_t n);

/// One operation of a chain, see chain_loops.h: `run` is of a type that only the instruction set's own unit knows.
using StageCode = void (*)();
struct Stage {
  StageCode run;
  int32_t address;  // of the operand in memory, an index into the block's table
  union {
    float constant;
    int32_t distance;
  };
};
/// Where a stage's operands come from: the accumulator, memory or the stage's constant. Unary operations are kAccAcc.
enum StageForm : int { kAccMem = 0, kMemAcc = 1, kAccConst = 2, kConstAcc = 3, kAccAcc = 4, kStageForms = 5 };

/// A strided row folded into one value. Partial results of several rows combine with the same operation.
using ReduceRow = void (*)(const void* x, int64_t stride, int64_t n, void* accumulator);
/// accumulator[i] = op(accumulator[i], x[i]) for n dense elements.
using ReduceColumns = void (*)(const void* x, int64_t n, void* accumulator);

/// c[m, n] (+)= a[m, k] b[k, n]; strides in elements; `pack` is scratch of gemm_pack_bytes().
struct GemmArgs {
  int64_t m, n, k;
  const void* a;
  int64_t a_row, a_column;
  const void* b;
  int64_t b_row, b_column;
  void* c;
  int64_t c_row, c_column;
  void* pack;
  bool accumulate;
};
using Gemm = void (*)(const GemmArgs&);

/// Dense rows of one operand: row r begins at base + at[r].
struct RowsOf {
  float* base;
  const int64_t* at;
};
/// Softmax of each of `rows` rows of n elements, or its gradient; operand[] as the operation has them, the result last.
using SoftmaxLoop = void (*)(const RowsOf* operand, int64_t rows, int64_t n);

struct IsaTable {
  const char* name;  // "x86-64-v4"

  VectorLoop op[65][kComputeCount];  // by scalar opcode and the operands' compute type; NULL where there is none
  VectorLoop cast[kComputeCount][kComputeCount];  // [from][to]
  struct {
    VectorLoop load, store, round;  // storage -> f32, f32 -> storage, f32 -> f32
  } narrow[kNarrowCount];
  VectorLoop normalize_bool;                      // any non-zero byte -> 1

  StageCode stage[kStageForms][65];  // by form and scalar opcode, f32; NULL where there is none
  StageCode load_stage, store_stage, stream_stage, prefetch_stage, end_stage;
  /// Over n elements, a multiple of `bundle`; the last stage is end_stage.
  void (*run_chain)(const Stage* stages, void* const* address, int64_t n);
  int64_t bundle;

  /// y[i] = x[i * stride] and y[i * stride] = x[i], by element size 1, 2, 4, 8 (index log2).
  void (*gather[4])(void* y, const void* x, int64_t stride, int64_t n);
  void (*scatter[4])(void* y, const void* x, int64_t stride, int64_t n);
  /// y[i] = *x
  void (*fill[4])(void* y, const void* x, int64_t n);
  /// y[r * y_row + c] = x[c * x_column + r]: a tile whose source is dense along the target's rows.
  void (*transpose[4])(void* y, int64_t y_row, const void* x, int64_t x_column, int64_t rows, int64_t columns);
  /// Copy past the caches; dst is 64-byte aligned.
  void (*stream)(void* dst, const void* src, size_t bytes);

  // [kind - 1] sum, max, min, prod; [compute type]. Accumulators are of the compute type, of sums over f32 a float.
  ReduceRow reduce_row[4][kComputeCount];
  ReduceColumns reduce_columns[4][kComputeCount];

  Gemm gemm_f32, gemm_f64;              // packed, blocked
  Gemm gemm_small_f32, gemm_small_f64;  // in place, b dense along n and c dense along n
  int64_t gemm_pack_bytes, gemm_small_pack_bytes;

  void (*dot_f32)(const float* a, const float* b, int64_t n, float* out);
  void (*axpy_f32)(float scale, const float* x, float* y, int64_t n);  // y += scale x

  SoftmaxLoop softmax, log_softmax, softmax_grad, log_softmax_grad;
  void (*moments)(const float* x, int64_t n, double* mean, double* m2);  // m2 = sum of (x - mean)^2
  void (*sum_squares)(const float* x, int64_t n, double* sum);
  bool (*all_finite)(const float* x, int64_t n);

  /// sums[i] = max(sums[i], x[i * step]), or +=.
  void (*pool_max)(float* sums, const float* x, int64_t step, int64_t n);
  void (*pool_add)(float* sums, const float* x, int64_t step, int64_t n);

  // Maximum over 2 x 2 windows side by side: n outputs from 2 n columns of two rows.
  void (*pool_max_2x2)(const float* top, const float* bottom, float* y, int64_t n);
  void (*pool_max_2x2_grad)(const float* top, const float* bottom, const float* y, const float* dy, float* dtop,
                            float* dbottom, int64_t n);

  // Normalisation over a dense stretch of one group; what the sums are is said in row_loops.h.
  void (*normalize)(const float* x, const float* scale, const float* shift, float mean, float rstd, float* y,
                    int64_t n);
  void (*normalize_grad_sums)(const float* dy, const float* x, const float* scale, float mean, float rstd, int64_t n,
                              double sums[4]);
  void (*normalize_grad)(const float* dy, const float* x, const float* scale, float mean, float rstd, float mean_g,
                         float mean_gh, float* dx, int64_t n);
  void (*normalize_grad_columns)(const float* dy, const float* x, float mean, float rstd, float* dscale, float* dshift,
                                 int64_t n);

  void (*philox)(uint64_t first_block, int64_t blocks, const uint32_t key[4], uint32_t* out);
};

namespace isa_v2 {
const IsaTable& table();
}
namespace isa_v3 {
const IsaTable& table();
}
namespace isa_v4 {
const IsaTable& table();
}

}  // namespace backplane::cpu
