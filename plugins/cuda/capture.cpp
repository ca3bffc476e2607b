// SPDX-License-Identifier: Apache-2.0
// bp.capture on CUDA graphs.
#include "device.h"
#include "interfaces.h"

namespace backplane::cuda {
namespace {

Queue& of(bp_queue* queue) {
  if (queue == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] queue is NULL");
  return *reinterpret_cast<Queue*>(queue);
}

bp_status begin(bp_queue* queue, bp_error* error) noexcept {
  return sdk::guard(error, [&] { of(queue).begin_capture(); });
}
bp_status end(bp_queue* queue, bp_recording** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    if (out == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] out is NULL");
    *out = reinterpret_cast<bp_recording*>(of(queue).end_capture().release());
  });
}
bp_status replay(bp_queue* queue, bp_recording* recording, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    if (recording == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] recording is NULL");
    of(queue).replay(*reinterpret_cast<Recording*>(recording));
  });
}
void destroy(bp_recording* recording) noexcept { delete reinterpret_cast<Recording*>(recording); }

}  // namespace

const bp_capture_api& capture_interface() {
  static const bp_capture_api table{sizeof(bp_capture_api), BP_VERSION(1, 0), begin, end, replay, destroy};
  return table;
}

}  // namespace backplane::cuda
