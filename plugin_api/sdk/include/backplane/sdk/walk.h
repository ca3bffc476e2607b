/* SPDX-License-Identifier: Apache-2.0
 *
 * Strided tensors in plain C: counting, offsets, a walk over several operands of one shape, whole pointwise operations.
 *
 * A walk merges axes that every operand runs through without a gap, so that contiguous tensors become one long row.
 */
#ifndef BACKPLANE_SDK_WALK_H_
#define BACKPLANE_SDK_WALK_H_

#include "backplane/sdk/scalar.h"

static inline int64_t bp_sdk_numel(const bp_tensor_desc* desc) {
  int64_t count = 1;
  for (uint32_t i = 0; i < desc->rank; ++i) count *= desc->shape[i];
  return count;
}

/* Offset, in elements, of row-major element `flat`. Divides once per axis: for small and simple code. */
static inline int64_t bp_sdk_offset(const bp_tensor_desc* desc, int64_t flat) {
  int64_t offset = 0;
  for (uint32_t i = desc->rank; i-- > 0;) {
    offset += flat % desc->shape[i] * desc->strides[i];
    flat /= desc->shape[i];
  }
  return offset;
}

/* `small` seen with the shape of `large`: stride 0 where small has extent 1. For sums into a reduced tensor. */
static inline bp_tensor_desc bp_sdk_expand(const bp_tensor_desc* small, const bp_tensor_desc* large) {
  bp_tensor_desc result = *small;
  for (uint32_t i = 0; i < small->rank; ++i) {
    result.shape[i] = large->shape[i];
    if (small->shape[i] == 1) result.strides[i] = 0;
  }
  return result;
}

enum { BP_SDK_MAX_OPERANDS = BP_PROGRAM_MAX_INPUTS + BP_PROGRAM_MAX_OUTPUTS };

typedef struct bp_sdk_walk {
  uint32_t rank; /* at least 1 */
  uint32_t num_operands;
  int64_t count; /* elements in all */
  int64_t shape[BP_MAX_RANK];
  int64_t strides[BP_SDK_MAX_OPERANDS][BP_MAX_RANK];
} bp_sdk_walk;

static inline void bp_sdk_walk_begin(bp_sdk_walk* walk, const bp_tensor_desc* shape) {
  walk->rank = 0;
  walk->num_operands = 0;
  walk->count = bp_sdk_numel(shape);
  for (uint32_t i = 0; i < shape->rank; ++i) walk->shape[walk->rank++] = shape->shape[i];
}
static inline void bp_sdk_walk_add(bp_sdk_walk* walk, const bp_tensor_desc* operand) {
  for (uint32_t i = 0; i < walk->rank; ++i) walk->strides[walk->num_operands][i] = operand->strides[i];
  walk->num_operands++;
}
/* Drops axes of extent 1 and merges neighbours; call once, after the last operand. */
static inline void bp_sdk_walk_collapse(bp_sdk_walk* walk) {
  uint32_t last = 0; /* axes 0 ... last are done */
  uint32_t rank = 0;
  for (uint32_t axis = 0; axis < walk->rank; ++axis) {
    int merge = rank > 0;
    if (walk->shape[axis] == 1) continue;
    for (uint32_t k = 0; merge && k < walk->num_operands; ++k) {
      merge = walk->strides[k][last] == walk->strides[k][axis] * walk->shape[axis];
    }
    if (!merge) {
      last = rank++;
      walk->shape[last] = walk->shape[axis];
    } else {
      walk->shape[last] *= walk->shape[axis];
    }
    for (uint32_t k = 0; k < walk->num_operands; ++k) walk->strides[k][last] = walk->strides[k][axis];
  }
  if (rank == 0) { /* a single element */
    walk->shape[0] = 1;
    for (uint32_t k = 0; k < walk->num_operands; ++k) walk->strides[k][0] = 0;
    rank = 1;
  }
  walk->rank = rank;
}

/* Steps `index` forward by n elements of the innermost axis (not beyond its end). */
static inline void bp_sdk_walk_step(const bp_sdk_walk* walk, int64_t* index, int64_t n) {
  uint32_t axis = walk->rank - 1;
  index[axis] += n;
  while (index[axis] >= walk->shape[axis] && axis > 0) {
    index[axis] = 0;
    index[--axis]++;
  }
}
static inline int64_t bp_sdk_walk_offset(const bp_sdk_walk* walk, uint32_t operand, const int64_t* index) {
  int64_t offset = 0;
  for (uint32_t i = 0; i < walk->rank; ++i) offset += index[i] * walk->strides[operand][i];
  return offset;
}

/* Moves `count` elements between memory and a block, `at` places into the block. */
static inline void bp_sdk_load_run(uint32_t dtype, const void* base, int64_t offset, int64_t stride, int count,
                                   bp_sdk_block* block, int at) {
#define BP_SDK_LOAD(T, FIELD, CONVERT)                                                                     \
  for (int i = 0; i < count; ++i) block->FIELD[at + i] = CONVERT(((const T*)base)[offset + i * stride]);   \
  break
  switch (dtype) {
    case BP_F32: BP_SDK_LOAD(float, f32, );
    case BP_F64: BP_SDK_LOAD(double, f64, );
    case BP_F16: BP_SDK_LOAD(uint16_t, f32, bp_sdk_f16_to_f32);
    case BP_BF16: BP_SDK_LOAD(uint16_t, f32, bp_sdk_bf16_to_f32);
    case BP_I32: BP_SDK_LOAD(int32_t, i32, );
    case BP_I64: BP_SDK_LOAD(int64_t, i64, );
    case BP_BOOL: BP_SDK_LOAD(uint8_t, u8, 0 !=);
    case BP_F8_E4M3: BP_SDK_LOAD(uint8_t, f32, bp_sdk_e4m3_to_f32);
    case BP_F8_E5M2: BP_SDK_LOAD(uint8_t, f32, bp_sdk_e5m2_to_f32);
    default: break;
  }
#undef BP_SDK_LOAD
}
static inline void bp_sdk_store_run(uint32_t dtype, void* base, int64_t offset, int64_t stride, int count,
                                    const bp_sdk_block* block, int at) {
#define BP_SDK_STORE(T, FIELD, CONVERT)                                                              \
  for (int i = 0; i < count; ++i) ((T*)base)[offset + i * stride] = CONVERT(block->FIELD[at + i]);   \
  break
  switch (dtype) {
    case BP_F32: BP_SDK_STORE(float, f32, );
    case BP_F64: BP_SDK_STORE(double, f64, );
    case BP_F16: BP_SDK_STORE(uint16_t, f32, bp_sdk_f32_to_f16);
    case BP_BF16: BP_SDK_STORE(uint16_t, f32, bp_sdk_f32_to_bf16);
    case BP_I32: BP_SDK_STORE(int32_t, i32, );
    case BP_I64: BP_SDK_STORE(int64_t, i64, );
    case BP_BOOL: BP_SDK_STORE(uint8_t, u8, );
    case BP_F8_E4M3: BP_SDK_STORE(uint8_t, f32, bp_sdk_f32_to_e4m3);
    case BP_F8_E5M2: BP_SDK_STORE(uint8_t, f32, bp_sdk_f32_to_e5m2);
    default: break;
  }
#undef BP_SDK_STORE
}

/* Loads (store = 0) or stores n elements of one operand, from position `index` on in walk order. */
static inline void bp_sdk_walk_block(const bp_sdk_walk* walk, uint32_t operand, uint32_t dtype, void* base,
                                     const int64_t* index, int n, bp_sdk_block* block, int store) {
  int64_t at[BP_MAX_RANK];
  const uint32_t inner = walk->rank - 1;
  int done = 0;
  memcpy(at, index, sizeof(at));
  while (done < n) {
    const int64_t left = walk->shape[inner] - at[inner], offset = bp_sdk_walk_offset(walk, operand, at);
    const int run = left < n - done ? (int)left : n - done;
    if (store) bp_sdk_store_run(dtype, base, offset, walk->strides[operand][inner], run, block, done);
    else bp_sdk_load_run(dtype, base, offset, walk->strides[operand][inner], run, block, done);
    bp_sdk_walk_step(walk, at, run);
    done += run;
  }
}

/* A whole BP_OP_POINTWISE. `inputs` and `outputs` point at elements (0, ..., 0). Uses about 100 KiB of stack. */
static inline void bp_sdk_pointwise(const bp_program* program, const bp_tensor_desc* input_descs,
                                    const void* const* inputs, const bp_tensor_desc* output_descs,
                                    void* const* outputs) {
  bp_sdk_walk walk;
  bp_sdk_block values[BP_SDK_MAX_VALUES];
  uint32_t input_dtypes[BP_PROGRAM_MAX_INPUTS], dtypes[BP_SDK_MAX_VALUES];
  int64_t index[BP_MAX_RANK] = {0};
  const uint32_t num_inputs = program->num_inputs;
  bp_sdk_walk_begin(&walk, &output_descs[0]);
  for (uint32_t i = 0; i < num_inputs; ++i) {
    input_dtypes[i] = input_descs[i].dtype;
    bp_sdk_walk_add(&walk, &input_descs[i]);
  }
  for (uint32_t i = 0; i < program->num_outputs; ++i) bp_sdk_walk_add(&walk, &output_descs[i]);
  bp_sdk_walk_collapse(&walk);
  bp_sdk_value_dtypes(program, input_dtypes, dtypes);
  for (int64_t done = 0; done < walk.count;) {
    const int n = walk.count - done < BP_SDK_BLOCK ? (int)(walk.count - done) : BP_SDK_BLOCK;
    for (uint32_t i = 0; i < num_inputs; ++i) {
      bp_sdk_walk_block(&walk, i, dtypes[i], (void*)(uintptr_t)inputs[i], index, n, &values[i], 0);
    }
    bp_sdk_run(program, dtypes, values, n);
    for (uint32_t i = 0; i < program->num_outputs; ++i) {
      bp_sdk_walk_block(&walk, num_inputs + i, output_descs[i].dtype, outputs[i], index, n,
                        &values[program->outputs[i]], 1);
    }
    for (int moved = 0; moved < n;) { /* move `index` on by n elements */
      const int64_t left = walk.shape[walk.rank - 1] - index[walk.rank - 1];
      const int run = left < n - moved ? (int)left : n - moved;
      bp_sdk_walk_step(&walk, index, run);
      moved += run;
    }
    done += n;
  }
}

#endif /* BACKPLANE_SDK_WALK_H_ */
