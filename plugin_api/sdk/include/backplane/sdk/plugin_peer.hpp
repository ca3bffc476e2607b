// SPDX-License-Identifier: Apache-2.0
// The table of bp.peer from a queue's copy_from; what an author declares is at the head of plugin.hpp.
#pragma once

#include "backplane/peer.h"
#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

template <class Device>
struct PeerThunks {
  using Queue = typename Device::Queue;

  static bp_status copy(bp_queue* queue, bp_view target, bp_device* source_device, bp_view source, uint64_t bytes,
                        bp_error* error) noexcept {
    return guard(error, [&] {
      if (queue == nullptr || source_device == nullptr) {
        throw Failure(BP_E_INVALID_ARGUMENT, "[peer] queue or source device is NULL");
      }
      if constexpr (kOffered) {
        reinterpret_cast<Queue*>(queue)->copy_from(target, *reinterpret_cast<Device*>(source_device), source, bytes);
      }
    });
  }

  static constexpr bool kOffered = requires(Queue& q, Device& d, bp_view view) { q.copy_from(view, d, view, uint64_t{}); };
  static constexpr bp_peer_api kTable{sizeof(bp_peer_api), BP_VERSION(1, 0), copy};
};

}  // namespace backplane::sdk
