// SPDX-License-Identifier: Apache-2.0
// `backplane explain`: one step of a model, compiled and run once on made-up images, and what became of each node.
#include <fmt/format.h>

#include "backplane/backplane.h"
#include "backplane/graph/plan.h"
#include "cli/command.h"
#include "cli/inspect.h"
#include "cli/models.h"
#include "cli/trainer.h"

namespace backplane::cli {
namespace {

using Step = std::function<Tensor(const Tensor&, const Tensor&)>;

Json rows_json(const std::vector<graph::Explanation>& rows) {
  Json list = Json::array();
  for (const graph::Explanation& e : rows) {
    list.push_back({{"node", e.node},
                    {"op", e.op},
                    {"type", e.type},
                    {"device", e.device},
                    {"how", e.how},
                    {"variant", e.variant},
                    {"level", e.level},
                    {"why", e.why},
                    {"reason", e.reason},
                    {"source", e.source}});
  }
  return list;
}

}  // namespace

ExitCode run_explain(const ExplainOptions& o) {
  const Device device = use_device(o.device);
  const ImageShape image;
  nn::Sequential model = find_model(o.model).make(image);
  optim::Adam optimizer(nn::parameters(model));
  nn::set_training(model, !o.inference);
  auto step = compile(
      o.inference ? Step([&](const Tensor& x, const Tensor& y) { return count_correct(model, x, y); })
                  : Step([&](const Tensor& x, const Tensor& y) { return train_step(model, optimizer, x, y); }));
  step(zeros({o.batch, image.channels, image.height, image.width}), zeros({o.batch}, i32)).item();
  const auto [native, fallback] = step.node_counts();
  if (!o.json) {
    fmt::print("{}", step.explain());
    return ExitCode::ok;
  }
  print_json({{"schema", 1},
              {"command", "explain"},
              {"model", o.model},
              {"pass", o.inference ? "inference" : "training"},
              {"batch", o.batch},
              {"device", device.name()},
              {"nodes", {{"device", native}, {"fallback", fallback}}},
              {"rows", rows_json(step.explanations())}});
  return ExitCode::ok;
}

}  // namespace backplane::cli
