/* SPDX-License-Identifier: Apache-2.0
 *
 * backplane/collective.h - "bp.collective" 1.0, optional: devices of several threads, processes or machines that add up and
 * hand round tensors, for data-parallel training. An interface of its own beside plugin.h, whose rules hold here too.
 *
 * The members of a group are its ranks, each a device with a thread or process of its own. Every rank makes the same calls
 * in the same order, with the same count, dtype and reduction; a call may wait until the others have made it. What is put
 * into the queue runs there in order; elements are dense. Cannot be recorded.
 */
#ifndef BACKPLANE_COLLECTIVE_H_
#define BACKPLANE_COLLECTIVE_H_

#include "backplane/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bp_group bp_group; /* one rank's membership; opaque, owned by the plugin */

enum { BP_GROUP_ID_BYTES = 128 };

typedef struct bp_group_id { /* [frozen] made by one rank and brought to the others by the program */
  unsigned char bytes[BP_GROUP_ID_BYTES];
} bp_group_id;

typedef struct bp_collective_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  /* BP_E_UNAVAILABLE when the library that does the work is not installed. [any] */
  bp_status (*make_id)(bp_device* device, bp_group_id* out, bp_error* error);
  /* Become rank `rank` of `ranks`; returns when all have joined. [any] */
  bp_status (*join)(bp_device* device, const bp_group_id* id, uint32_t ranks, uint32_t rank, bp_group** out,
                    bp_error* error);
  void (*leave)(bp_group* group); /* no queue may still have work of it; NULL is ignored */

  /* target[i] = the reduction (BP_REDUCE_SUM, _PROD, _MAX or _MIN) of all ranks' source[i]. They may be the same view. */
  bp_status (*all_reduce)(bp_queue* queue, bp_group* group, bp_view target, bp_view source, uint64_t count,
                          uint32_t dtype, uint32_t reduction, bp_error* error);
  /* target[i] = source[i] of rank `root`; only its source is read. They may be the same view. */
  bp_status (*broadcast)(bp_queue* queue, bp_group* group, bp_view target, bp_view source, uint64_t count,
                         uint32_t dtype, uint32_t root, bp_error* error);
  /* target[r * count + i] = source[i] of rank r. */
  bp_status (*all_gather)(bp_queue* queue, bp_group* group, bp_view target, bp_view source, uint64_t count,
                          uint32_t dtype, bp_error* error);
  /* target[i] = the reduction of all ranks' source[own rank * count + i]. */
  bp_status (*reduce_scatter)(bp_queue* queue, bp_group* group, bp_view target, bp_view source, uint64_t count,
                              uint32_t dtype, uint32_t reduction, bp_error* error);

  /* Gives the group up, because another rank will not make its calls: what waits for it, in the queue or in a call on
   * another thread, ends soon. What it was to write is undefined, and every later call but leave() is refused. [any] */
  void (*abort)(bp_group* group);
} bp_collective_api;

#define BP_INTERFACE_COLLECTIVE "bp.collective"

#ifdef __cplusplus
}
#endif
#endif /* BACKPLANE_COLLECTIVE_H_ */
