/* SPDX-License-Identifier: Apache-2.0
 *
 * Interpreter of scalar programs, in plain C.
 *
 * It runs each instruction over a block of up to BP_SDK_BLOCK elements, so the switch on the opcode is paid once per
 * block. Values lie in unions: f32, the half types and the 8-bit floats as float (already rounded to their dtype), the
 * others as themselves. Transcendental functions of f32 are evaluated in double and rounded once. The program must be
 * valid (validate.hpp; the host sends no other).
 *
 *   bp_sdk_value_dtypes(program, input_dtypes, dtypes);   once
 *   ... fill values[0 ... num_inputs - 1] ...
 *   bp_sdk_run(program, dtypes, values, n);               output j is values[program->outputs[j]]
 */
#ifndef BACKPLANE_SDK_SCALAR_H_
#define BACKPLANE_SDK_SCALAR_H_

#include "backplane/sdk/convert.h"

enum { BP_SDK_BLOCK = 128, BP_SDK_MAX_VALUES = BP_PROGRAM_MAX_INPUTS + BP_PROGRAM_MAX_INSTRS };

typedef union bp_sdk_block {
  float f32[BP_SDK_BLOCK];
  double f64[BP_SDK_BLOCK];
  int32_t i32[BP_SDK_BLOCK];
  int64_t i64[BP_SDK_BLOCK];
  uint8_t u8[BP_SDK_BLOCK];
} bp_sdk_block;

/* The dtype of every value of the program. */
static inline void bp_sdk_value_dtypes(const bp_program* program, const uint32_t* input_dtypes, uint32_t* dtypes) {
  for (uint32_t i = 0; i < program->num_inputs; ++i) dtypes[i] = input_dtypes[i];
  for (uint32_t i = 0; i < program->num_instrs; ++i) dtypes[program->num_inputs + i] = program->instrs[i].dtype;
}

/* `case CODE:` r[i] = EXPR for the block; x is a[i], y is b[i]. */
#define BP_SDK_UNARY(T, CODE, EXPR) \
  case CODE:                        \
    for (int i = 0; i < n; ++i) {   \
      const T x = a[i];             \
      r[i] = (T)(EXPR);             \
    }                               \
    break;
#define BP_SDK_BINARY(T, CODE, EXPR)    \
  case CODE:                            \
    for (int i = 0; i < n; ++i) {       \
      const T x = a[i], y = b[i];       \
      r[i] = (T)(EXPR);                 \
    }                                   \
    break;

/* Arithmetic of float and double. FMOD is the one function whose double form is not exact for float. */
#define BP_SDK_DEFINE_FLOAT(NAME, T, SQRT, FMOD)                                             \
  static inline void NAME(uint16_t code, int n, T* r, const T* a, const T* b) {              \
    switch (code) {                                                                          \
      BP_SDK_UNARY(T, BP_S_NEG, -x)                                                          \
      BP_SDK_UNARY(T, BP_S_ABS, fabs((double)x))                                             \
      BP_SDK_UNARY(T, BP_S_EXP, exp((double)x))                                              \
      BP_SDK_UNARY(T, BP_S_LOG, log((double)x))                                              \
      BP_SDK_UNARY(T, BP_S_SQRT, SQRT(x))                                                    \
      BP_SDK_UNARY(T, BP_S_RSQRT, 1.0 / sqrt((double)x))                                     \
      BP_SDK_UNARY(T, BP_S_SIN, sin((double)x))                                              \
      BP_SDK_UNARY(T, BP_S_COS, cos((double)x))                                              \
      BP_SDK_UNARY(T, BP_S_TANH, tanh((double)x))                                            \
      BP_SDK_UNARY(T, BP_S_ERF, erf((double)x))                                              \
      BP_SDK_UNARY(T, BP_S_EXPM1, expm1((double)x))                                          \
      BP_SDK_UNARY(T, BP_S_LOG1P, log1p((double)x))                                          \
      BP_SDK_UNARY(T, BP_S_FLOOR, floor((double)x))                                          \
      BP_SDK_UNARY(T, BP_S_CEIL, ceil((double)x))                                            \
      BP_SDK_BINARY(T, BP_S_ADD, x + y)                                                      \
      BP_SDK_BINARY(T, BP_S_SUB, x - y)                                                      \
      BP_SDK_BINARY(T, BP_S_MUL, x * y)                                                      \
      BP_SDK_BINARY(T, BP_S_DIV, x / y)                                                      \
      BP_SDK_BINARY(T, BP_S_REM, FMOD(x, y))                                                 \
      BP_SDK_BINARY(T, BP_S_POW, pow((double)x, (double)y))                                  \
      BP_SDK_BINARY(T, BP_S_MAX, x != x ? x : (y != y ? y : (x < y ? y : x)))                \
      BP_SDK_BINARY(T, BP_S_MIN, x != x ? x : (y != y ? y : (y < x ? y : x)))                \
      default: break;                                                                        \
    }                                                                                        \
  }
BP_SDK_DEFINE_FLOAT(bp_sdk_run_f32, float, sqrtf, fmodf)
BP_SDK_DEFINE_FLOAT(bp_sdk_run_f64, double, sqrt, fmod)

/* Integers: arithmetic in the unsigned type U wraps without undefined behaviour. */
#define BP_SDK_DEFINE_INT(NAME, T, U, BITS)                                                  \
  static inline void NAME(uint16_t code, int n, T* r, const T* a, const T* b) {              \
    switch (code) {                                                                          \
      BP_SDK_UNARY(T, BP_S_NEG, (U)0 - (U)x)                                                 \
      BP_SDK_UNARY(T, BP_S_ABS, x < 0 ? (U)0 - (U)x : (U)x)                                  \
      BP_SDK_UNARY(T, BP_S_NOT, ~(U)x)                                                       \
      BP_SDK_BINARY(T, BP_S_ADD, (U)x + (U)y)                                                \
      BP_SDK_BINARY(T, BP_S_SUB, (U)x - (U)y)                                                \
      BP_SDK_BINARY(T, BP_S_MUL, (U)x * (U)y)                                                \
      BP_SDK_BINARY(T, BP_S_DIV, y == 0 ? (U)0 : (y == -1 ? (U)0 - (U)x : (U)(x / y)))       \
      BP_SDK_BINARY(T, BP_S_REM, y == 0 || y == -1 ? 0 : x % y)                              \
      BP_SDK_BINARY(T, BP_S_MAX, x < y ? y : x)                                              \
      BP_SDK_BINARY(T, BP_S_MIN, y < x ? y : x)                                              \
      BP_SDK_BINARY(T, BP_S_AND, x & y)                                                      \
      BP_SDK_BINARY(T, BP_S_OR, x | y)                                                       \
      BP_SDK_BINARY(T, BP_S_XOR, x ^ y)                                                      \
      BP_SDK_BINARY(T, BP_S_SHL, (U)x << ((U)y & (BITS - 1)))                                \
      BP_SDK_BINARY(T, BP_S_SHR, (U)x >> ((U)y & (BITS - 1)))                                \
      default: break;                                                                        \
    }                                                                                        \
  }
BP_SDK_DEFINE_INT(bp_sdk_run_i32, int32_t, uint32_t, 32)
BP_SDK_DEFINE_INT(bp_sdk_run_i64, int64_t, uint64_t, 64)

static inline void bp_sdk_run_bool(uint16_t code, int n, uint8_t* r, const uint8_t* a, const uint8_t* b) {
  switch (code) {
    BP_SDK_UNARY(uint8_t, BP_S_NOT, !x)
    BP_SDK_BINARY(uint8_t, BP_S_MAX, x | y)
    BP_SDK_BINARY(uint8_t, BP_S_OR, x | y)
    BP_SDK_BINARY(uint8_t, BP_S_MIN, x & y)
    BP_SDK_BINARY(uint8_t, BP_S_AND, x & y)
    BP_SDK_BINARY(uint8_t, BP_S_XOR, x ^ y)
    default: break;
  }
}

#define BP_SDK_DEFINE_COMPARE(NAME, T)                                                \
  static inline void NAME(uint16_t code, int n, uint8_t* r, const T* a, const T* b) { \
    for (int i = 0; i < n; ++i) {                                                     \
      const T x = a[i], y = b[i];                                                     \
      r[i] = (uint8_t)(code == BP_S_EQ ? x == y : code == BP_S_NE ? x != y : code == BP_S_LT ? x < y : x <= y); \
    }                                                                                 \
  }
BP_SDK_DEFINE_COMPARE(bp_sdk_compare_f32, float)
BP_SDK_DEFINE_COMPARE(bp_sdk_compare_f64, double)
BP_SDK_DEFINE_COMPARE(bp_sdk_compare_i32, int32_t)
BP_SDK_DEFINE_COMPARE(bp_sdk_compare_i64, int64_t)
BP_SDK_DEFINE_COMPARE(bp_sdk_compare_bool, uint8_t)

static inline void bp_sdk_compare(uint16_t code, uint32_t dtype, int n, uint8_t* r, const bp_sdk_block* a,
                                  const bp_sdk_block* b) {
  switch (dtype) {
    case BP_F64: bp_sdk_compare_f64(code, n, r, a->f64, b->f64); break;
    case BP_I32: bp_sdk_compare_i32(code, n, r, a->i32, b->i32); break;
    case BP_I64: bp_sdk_compare_i64(code, n, r, a->i64, b->i64); break;
    case BP_BOOL: bp_sdk_compare_bool(code, n, r, a->u8, b->u8); break;
    default: bp_sdk_compare_f32(code, n, r, a->f32, b->f32); break;
  }
}

/* From type T in field FROM to any dtype; TO_I32 and TO_I64 convert as BP_S_CAST says. */
#define BP_SDK_CAST_FROM(T, FROM, TO_I32, TO_I64)                                                         \
  switch (to) {                                                                                           \
    case BP_F64: for (int i = 0; i < n; ++i) r->f64[i] = (double)a->FROM[i]; break;                       \
    case BP_I32: for (int i = 0; i < n; ++i) r->i32[i] = TO_I32(a->FROM[i]); break;                       \
    case BP_I64: for (int i = 0; i < n; ++i) r->i64[i] = TO_I64(a->FROM[i]); break;                       \
    case BP_BOOL: for (int i = 0; i < n; ++i) r->u8[i] = (uint8_t)(a->FROM[i] != 0); break;               \
    default: for (int i = 0; i < n; ++i) r->f32[i] = bp_sdk_round_to(to, (float)a->FROM[i]); break;       \
  }                                                                                                       \
  break;

static inline void bp_sdk_cast(uint32_t from, uint32_t to, int n, bp_sdk_block* r, const bp_sdk_block* a) {
  switch (from) {
    case BP_F64: BP_SDK_CAST_FROM(double, f64, bp_sdk_to_i32, bp_sdk_to_i64)
    case BP_I32: BP_SDK_CAST_FROM(int32_t, i32, (int32_t), (int64_t))
    case BP_I64: BP_SDK_CAST_FROM(int64_t, i64, (int32_t)(uint32_t), (int64_t))
    case BP_BOOL: BP_SDK_CAST_FROM(uint8_t, u8, (int32_t), (int64_t))
    default: BP_SDK_CAST_FROM(float, f32, bp_sdk_to_i32, bp_sdk_to_i64)
  }
}

static inline void bp_sdk_const(const bp_instr* instr, int n, bp_sdk_block* r) {
  const float f = bp_sdk_round_to(instr->dtype, (float)instr->imm.f);
  switch (instr->dtype) {
    case BP_F64: for (int i = 0; i < n; ++i) r->f64[i] = instr->imm.f; break;
    case BP_I32: for (int i = 0; i < n; ++i) r->i32[i] = (int32_t)(uint32_t)instr->imm.i; break;
    case BP_I64: for (int i = 0; i < n; ++i) r->i64[i] = instr->imm.i; break;
    case BP_BOOL: for (int i = 0; i < n; ++i) r->u8[i] = (uint8_t)(instr->imm.i != 0); break;
    default: for (int i = 0; i < n; ++i) r->f32[i] = f; break;
  }
}

static inline void bp_sdk_select(uint32_t dtype, int n, bp_sdk_block* r, const uint8_t* c, const bp_sdk_block* a,
                                 const bp_sdk_block* b) {
  switch (dtype) {
    case BP_F64: for (int i = 0; i < n; ++i) r->f64[i] = c[i] ? a->f64[i] : b->f64[i]; break;
    case BP_I32: for (int i = 0; i < n; ++i) r->i32[i] = c[i] ? a->i32[i] : b->i32[i]; break;
    case BP_I64: for (int i = 0; i < n; ++i) r->i64[i] = c[i] ? a->i64[i] : b->i64[i]; break;
    case BP_BOOL: for (int i = 0; i < n; ++i) r->u8[i] = c[i] ? a->u8[i] : b->u8[i]; break;
    default: for (int i = 0; i < n; ++i) r->f32[i] = c[i] ? a->f32[i] : b->f32[i]; break;
  }
}

static inline void bp_sdk_run_instr(const bp_instr* instr, const uint32_t* dtypes, bp_sdk_block* values,
                                    bp_sdk_block* r, int n) {
  const bp_sdk_block *a = &values[instr->a], *b = &values[instr->b], *c = &values[instr->c];
  const uint16_t code = instr->code;
  if (code == BP_S_CONST) {
    bp_sdk_const(instr, n, r);
  } else if (code == BP_S_CAST) {
    bp_sdk_cast(dtypes[instr->a], instr->dtype, n, r, a);
  } else if (code == BP_S_SELECT) {
    bp_sdk_select(instr->dtype, n, r, a->u8, b, c);
  } else if (code >= BP_S_EQ && code <= BP_S_LE) {
    bp_sdk_compare(code, dtypes[instr->a], n, r->u8, a, b);
  } else {
    switch (instr->dtype) {
      case BP_F64: bp_sdk_run_f64(code, n, r->f64, a->f64, b->f64); break;
      case BP_I32: bp_sdk_run_i32(code, n, r->i32, a->i32, b->i32); break;
      case BP_I64: bp_sdk_run_i64(code, n, r->i64, a->i64, b->i64); break;
      case BP_BOOL: bp_sdk_run_bool(code, n, r->u8, a->u8, b->u8); break;
      default:
        bp_sdk_run_f32(code, n, r->f32, a->f32, b->f32);
        if (instr->dtype != BP_F32) {
          for (int i = 0; i < n; ++i) r->f32[i] = bp_sdk_round_to(instr->dtype, r->f32[i]);
        }
        break;
    }
  }
}

/* Runs the program over n <= BP_SDK_BLOCK elements. */
static inline void bp_sdk_run(const bp_program* program, const uint32_t* dtypes, bp_sdk_block* values, int n) {
  for (uint32_t i = 0; i < program->num_instrs; ++i) {
    bp_sdk_run_instr(&program->instrs[i], dtypes, values, &values[program->num_inputs + i], n);
  }
}

#undef BP_SDK_UNARY
#undef BP_SDK_BINARY
#undef BP_SDK_DEFINE_FLOAT
#undef BP_SDK_DEFINE_INT
#undef BP_SDK_DEFINE_COMPARE
#undef BP_SDK_CAST_FROM

#endif /* BACKPLANE_SDK_SCALAR_H_ */
