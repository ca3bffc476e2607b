// SPDX-License-Identifier: Apache-2.0
// How cuDNN can do an operation: every engine configuration that its heuristics name, that it can finalise into a plan, and
// whose arithmetic is what the operation allows. Each is a variant of its own.
//
// Finalising takes milliseconds up to seconds each, so what was found for an operation is remembered.
#pragma once

#include <optional>
#include <string_view>

#include "backplane/devicekit/recent.h"
#include "cudnn_engines.h"
#include "kernel.h"

namespace backplane::cuda::dnn {

struct Plan {
  std::string name;        ///< "cudnn@eng=4,k2=17,k14=3"
  uint64_t workspace = 0;  ///< as the host has to give it
  uint32_t notes = 0;      ///< BP_NOTE_*
  uint32_t determinism = BP_DETERMINISM_RUN;
  std::shared_ptr<const Graph> graph;
  std::shared_ptr<const Descriptor> config, executable;
};

/// One device's plans. [any] thread.
class Plans {
 public:
  Plans(const sdk::Host& host, const Api* api) : session_(host, api) {}

  /// Those that `op` has room for; none without cuDNN. The device's context is current.
  std::vector<Plan> list(const bp_op& op);
  /// The one of that name, for which no other is finalised; nothing where list() has none.
  std::optional<Plan> find(const bp_op& op, std::string_view name);
  /// The plan as a step of a kernel, for operands whose addresses are multiples of kAlignment.
  std::unique_ptr<Step> step(const Plan& plan);

 private:
  struct Candidate {
    Configuration configuration;
    bool tried = false;
    std::optional<Plan> plan;
  };
  struct Found {
    std::mutex mutex;
    bool searched = false;
    std::shared_ptr<const Graph> graph;
    std::vector<Candidate> candidates;
  };
  /// What is known about `op` after the heuristics were asked; nothing where cuDNN does not do it.
  std::shared_ptr<Found> found(const bp_op& op);
  void search(const bp_op& op, Found& into);
  /// The candidate's plan, if it can be finalised and `op` has room for it.
  std::optional<Plan> finished(const bp_op& op, const Found& found, Candidate& candidate);

  Session session_;
  devicekit::Recent<Found> found_{1024};
};

}  // namespace backplane::cuda::dnn
