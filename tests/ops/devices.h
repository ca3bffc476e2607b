// SPDX-License-Identifier: Apache-2.0
// The devices that tests compare, and running a graph on one of them.
#pragma once

#include <string>
#include <vector>

#include "backplane/graph/plan.h"
#include "ops/values.h"

namespace backplane::test {

/// Those that BACKPLANE_TEST_DEVICES lists by selector, or else those that were built, in order. Throws where one
/// cannot be opened: a device that is asked for and missing is a failure.
const std::vector<graph::StreamPtr>& devices_under_test();
/// The oracle.
const graph::StreamPtr& oracle();

/// A graph compiled once, to be run with many values.
class Evaluator {
 public:
  Evaluator(const graph::Graph& graph, const graph::StreamPtr& stream,
            const graph::PassConfig& passes = graph::PassConfig::none());
  std::vector<Literal> operator()(std::span<const Literal> inputs) const;
  const graph::PlanStats& stats() const { return plan_->stats(); }

 private:
  graph::StreamPtr stream_;
  std::shared_ptr<graph::Plan> plan_;
};

}  // namespace backplane::test
