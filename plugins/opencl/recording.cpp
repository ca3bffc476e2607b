// SPDX-License-Identifier: Apache-2.0
#include "recording.h"

#include "device.h"

namespace backplane::opencl {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

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

}  // namespace backplane::opencl
