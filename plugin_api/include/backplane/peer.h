/* SPDX-License-Identifier: Apache-2.0
 *
 * backplane/peer.h - "bp.peer" 1.0, optional: copies between two devices of one plugin. Without it they cross the host's
 * memory. An interface of its own beside plugin.h, whose rules hold here too.
 */
#ifndef BACKPLANE_PEER_H_
#define BACKPLANE_PEER_H_

#include "backplane/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A plugin that offers bp.peer also lets bp.queue's event_wait take events of its other devices. */
typedef struct bp_peer_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  /* Put a copy into `queue`, whose device is the target's; `source` belongs to `source_device`, another open device of
   * the plugin. The caller orders both sides with events: this queue behind what writes the source, the source's queue
   * behind the copy before the source changes. BP_E_UNSUPPORTED: not between these two. Cannot be recorded. */
  bp_status (*copy)(bp_queue* queue, bp_view target, bp_device* source_device, bp_view source, uint64_t bytes,
                    bp_error* error);
} bp_peer_api;

#define BP_INTERFACE_PEER "bp.peer"

#ifdef __cplusplus
}
#endif
#endif /* BACKPLANE_PEER_H_ */
