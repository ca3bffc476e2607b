// SPDX-License-Identifier: Apache-2.0
#include "recording.h"

#include "device.h"

namespace backplane::opencl {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

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

Recording::~Recording() {
  for (const Step& step : steps_) {
    if (const auto* launch = std::get_if<LaunchStep>(&step)) cl().ReleaseKernel(launch->kernel);
  }
}

void Recording::add_launch(const Launch& launch, const Operands& operands) {
  steps_.push_back(LaunchStep{&launch, nullptr});
  try {
    std::get<LaunchStep>(steps_.back()).kernel = launch.clone(operands);
  } catch (...) {
    steps_.pop_back();
    throw;
  }
}

void Recording::run(Queue& queue) const {
  queue.busy_ = true;
  for (const Step& step : steps_) {
    std::visit(Overloaded{[&](const LaunchStep& s) {
                            queue.device().check(s.launch->enqueue_clone(queue.get(), s.kernel),
                                                 "clEnqueueNDRangeKernel");
                          },
                          [&](const CopyStep& s) { queue.run_copy(s.target, s.source, s.bytes); },
                          [&](const FillStep& s) { queue.run_fill(s.target, s.pattern, s.pattern_bytes, s.bytes); },
                          [&](const RecordStep& s) { queue.run_record(*s.event); },
                          [&](const WaitStep& s) { queue.run_wait(*s.event); }},
               step);
    if (queue.failed_) return;
  }
}

const bp_capture_api& capture_interface() {
  static const bp_capture_api table{sizeof(bp_capture_api), BP_VERSION(1, 0), begin, end, replay, destroy};
  return table;
}

}  // namespace backplane::opencl
