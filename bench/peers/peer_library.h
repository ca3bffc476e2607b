/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that bench loads at run time (--peers=, paths separated by colons): for libraries that are built by
 * hand and that nothing here depends on. Calls come from one thread. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct backplane_bench_peer {
  uint32_t size; /* of this struct */
  const char* name;
  const char* plugin; /* the plugin whose devices it is compared with: "vulkan"; NULL = all */
  /* Prepares c[m,n] = a[m,k] b[k,n], f32, row-major; weights may be laid out here as the library likes them. NULL: cannot. */
  void* (*matmul)(int64_t m, int64_t n, int64_t k, const float* a, const float* b);
  void (*enqueue)(void* call);
  void (*finish)(void* call); /* waits for what was enqueued */
  void (*read)(void* call, float* c);
  void (*destroy)(void* call);
} backplane_bench_peer;

/* What the library exports; `device` is its own numbering, 0 = the first. */
typedef const backplane_bench_peer* (*backplane_bench_peer_v1_fn)(int device);

#ifdef __cplusplus
}
#endif
