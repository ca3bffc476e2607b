/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete plugin in C: start here. It does the five operations that every plugin supplies, one element at a time,
 * in host memory. `supports` says what it can do, `run` does it; the SDK's host_backend.h is everything else.
 *
 * To make it yours: copy this folder, rename, and replace the loops of one operation after the other. When memory or
 * queues have to become a device's own, fill in the tables of plugin.h yourself; host_backend.h shows how.
 * OPERATIONS.md has the exact meaning of each operation.
 */
#include "backplane/sdk/host_backend.h"

/* NULL = yes. A reason is shown to people, so it names the condition. */
static const char* supports(const bp_op* op) {
  const uint32_t dtype = op->num_inputs != 0 ? op->inputs[0].dtype : 0;
  const uint32_t kind = op->code == BP_OP_REDUCE ? ((const bp_reduce_attrs*)op->attrs)->kind : BP_REDUCE_SUM;
  switch (op->code) {
    case BP_OP_POINTWISE: return NULL; /* the interpreter knows every dtype */
    case BP_OP_GATHER: return NULL;    /* bytes are copied, whatever they mean */
    case BP_OP_REDUCE:
      if (kind != BP_REDUCE_SUM && kind != BP_REDUCE_MAX) return "only sum and max";
      return dtype == BP_F32 || dtype == BP_I32 || (dtype == BP_BOOL && kind == BP_REDUCE_MAX) ? NULL
                                                                                                : "only f32, i32, bool";
    case BP_OP_MATMUL: return dtype == BP_F32 ? NULL : "only f32";
    case BP_OP_SCATTER_ADD: return dtype == BP_F32 ? NULL : "only f32";
    default: return "unknown operation";
  }
}

/* y starts at the identity; then every element of x joins the element of y that it belongs to. */
static void reduce(const bp_op* op, const void* x, void* y) {
  const bp_tensor_desc *xd = &op->inputs[0], *yd = &op->outputs[0];
  const int max = ((const bp_reduce_attrs*)op->attrs)->kind == BP_REDUCE_MAX;
  const double identity = !max ? 0 : xd->dtype == BP_F32 ? -INFINITY : xd->dtype == BP_I32 ? INT32_MIN : 0;
  const bp_tensor_desc target = bp_sdk_expand(yd, xd);
  for (int64_t i = 0; i < bp_sdk_numel(yd); ++i) bp_sdk_store(yd->dtype, y, bp_sdk_offset(yd, i), identity);
  for (int64_t i = 0; i < bp_sdk_numel(xd); ++i) {
    const int64_t from = bp_sdk_offset(xd, i), to = bp_sdk_offset(&target, i);
    const double value = bp_sdk_load(xd->dtype, x, from), old = bp_sdk_load(xd->dtype, y, to);
    if (max) {
      if (value > old || value != value) bp_sdk_store(xd->dtype, y, to, value); /* NaN wins and stays */
    } else if (xd->dtype == BP_F32) {
      ((float*)y)[to] += (float)value;
    } else { /* integers wrap */
      ((int32_t*)y)[to] = (int32_t)((uint32_t)((int32_t*)y)[to] + (uint32_t)((const int32_t*)x)[from]);
    }
  }
}

/* c = a b for each matrix of the batch; transposes and broadcasts are in the strides. */
static void matmul(const bp_op* op, const float* a, const float* b, float* c) {
  const bp_tensor_desc *ad = &op->inputs[0], *bd = &op->inputs[1], *cd = &op->outputs[0];
  const uint32_t row = cd->rank - 2, column = cd->rank - 1;
  for (int64_t i = 0; i < bp_sdk_numel(cd); ++i) {
    int64_t rest = i, a_at = 0, b_at = 0;
    float sum = 0;
    for (uint32_t axis = cd->rank; axis-- > 0; rest /= cd->shape[axis]) {
      if (axis != column) a_at += rest % cd->shape[axis] * ad->strides[axis];
      if (axis != row) b_at += rest % cd->shape[axis] * bd->strides[axis];
    }
    for (int64_t k = 0; k < ad->shape[column]; ++k) {
      sum += a[a_at + k * ad->strides[column]] * b[b_at + k * bd->strides[row]];
    }
    c[bp_sdk_offset(cd, i)] = sum;
  }
}

/* The index that element `flat` of a tensor [outer, k, inner] belongs to, or -1 when it lies outside [0, n). */
static int64_t index_of(const bp_op* op, const void* indices, const bp_tensor_desc* shape, int64_t flat, int64_t n) {
  const bp_tensor_desc* d = &op->inputs[1];
  const int64_t at = flat / shape->shape[2] % shape->shape[1] * d->strides[0];
  const int64_t index = d->dtype == BP_I64 ? ((const int64_t*)indices)[at] : ((const int32_t*)indices)[at];
  return index >= 0 && index < n ? index : -1;
}

/* Offset in a tensor [outer, n, inner] of the row that `flat` of [outer, k, inner] refers to. */
static int64_t row_offset(const bp_tensor_desc* d, const bp_tensor_desc* shape, int64_t flat, int64_t index) {
  const int64_t inner = shape->shape[2];
  return flat / (shape->shape[1] * inner) * d->strides[0] + index * d->strides[1] + flat % inner * d->strides[2];
}

static void gather(const bp_op* op, const char* x, const void* indices, char* y) {
  const bp_tensor_desc *xd = &op->inputs[0], *yd = &op->outputs[0];
  const size_t size = bp_sdk_dtype_size(xd->dtype);
  for (int64_t i = 0; i < bp_sdk_numel(yd); ++i) {
    const int64_t index = index_of(op, indices, yd, i, xd->shape[1]);
    char* to = y + bp_sdk_offset(yd, i) * (int64_t)size;
    if (index < 0) memset(to, 0, size);
    else memcpy(to, x + row_offset(xd, yd, i, index) * (int64_t)size, size);
  }
}

static void scatter_add(const bp_op* op, const float* base, const void* indices, const float* updates, float* y) {
  const bp_tensor_desc *bd = &op->inputs[0], *ud = &op->inputs[2], *yd = &op->outputs[0];
  for (int64_t i = 0; i < bp_sdk_numel(yd); ++i) y[bp_sdk_offset(yd, i)] = base[bp_sdk_offset(bd, i)];
  for (int64_t i = 0; i < bp_sdk_numel(ud); ++i) {
    const int64_t index = index_of(op, indices, ud, i, bd->shape[1]);
    if (index >= 0) y[row_offset(yd, ud, i, index)] += updates[bp_sdk_offset(ud, i)];
  }
}

static void run(const bp_op* op, const void* const* in, void* const* out) {
  switch (op->code) {
    case BP_OP_POINTWISE: bp_sdk_pointwise(op->program, op->inputs, in, op->outputs, out); break;
    case BP_OP_REDUCE: reduce(op, in[0], out[0]); break;
    case BP_OP_MATMUL: matmul(op, (const float*)in[0], (const float*)in[1], (float*)out[0]); break;
    case BP_OP_GATHER: gather(op, (const char*)in[0], in[1], (char*)out[0]); break;
    default: scatter_add(op, (const float*)in[0], in[1], (const float*)in[2], (float*)out[0]); break;
  }
}

BP_SDK_HOST_PLUGIN("frozen_1_0", "1.0.0", "1", "the toy as it was at ABI 1.0", supports, run)
