// SPDX-License-Identifier: Apache-2.0
// Runs one piece of host work a given number of times on the null plugin, for counting its instructions:
// overhead_probe boundary|replay|eager|eager_recorded|eager_backward COUNT
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "backplane/backplane.h"
#include "backplane/graph/ops.h"
#include "backplane/graph/plan.h"

namespace {

using namespace backplane;

constexpr int kReplayNodes = 1000;
const Type kSmall{f32, {16}};

/// One enqueue through the plugin's table; `count` calls.
void boundary(const Device& device, int count) {
  graph::KernelOp op;
  op.code = BP_OP_SOFTMAX;
  op.name = "softmax";
  op.set_attrs(bp_axis_attrs{sizeof(bp_axis_attrs), 0});
  op.inputs = op.outputs = {to_desc(kSmall, dense_layout(kSmall.shape))};
  const auto kernel = device.stream()->kernel(op);
  const graph::StoragePtr storage = device.stream()->alloc(64);
  const bp_view view{storage->buffer(), 0};
  const auto enqueue = device.stream()->device()->kernels().enqueue;
  for (int i = 0; i < count; ++i) enqueue(device.stream()->queue(), kernel->handle.get(), &view, &view, {nullptr, 0}, nullptr);
}

/// A plan of kReplayNodes additions that nothing fuses; `count` is in nodes.
void replay(const Device& device, int count) {
  graph::Graph g;
  graph::Sym x = g.sym(g.add_input(graph::Input::Kind::placeholder, kSmall, "x"));
  const graph::Sym y = g.sym(g.add_input(graph::Input::Kind::placeholder, kSmall, "y"));
  for (int i = 0; i < kReplayNodes; ++i) x = x + y;
  g.set_outputs({g.value(x)});
  graph::CompileOptions options;
  options.stream = device.stream();
  options.passes = graph::PassConfig::none();
  const auto plan = graph::Plan::compile(g, options);
  if (plan->stats().nodes != kReplayNodes) std::abort();
  std::vector<graph::Bound> inputs;
  for (int i = 0; i < 2; ++i) inputs.push_back({device.stream()->alloc(64), kSmall, dense_layout(kSmall.shape)});
  for (int i = 0; i < count; i += kReplayNodes) plan->run(inputs);
}

void eager(const Device& device, int count) {
  const Tensor x = zeros({16}, f32, device), y = zeros({16}, f32, device);
  Tensor z = x + y;
  for (int i = 0; i < count; ++i) z = x + y;
}

void eager_recorded(const Device& device, int count) {
  const Tensor x = zeros({16}, f32, device).requires_grad(), y = zeros({16}, f32, device);
  Tensor z = x + y;
  for (int i = 0; i < count; ++i) z = x + y;
}

/// A recorded chain and its reverse sweep; `count` is in forward ops.
void eager_backward(const Device& device, int count) {
  const Tensor x = zeros({16}, f32, device).requires_grad(), y = ones({16}, f32, device);
  for (int i = 0; i < count; i += 100) {
    Tensor z = x;
    for (int k = 0; k < 99; ++k) z = z * y;
    sum(z).backward();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)(const Device&, int)> modes = {{"boundary", boundary},
                                                                     {"replay", replay},
                                                                     {"eager", eager},
                                                                     {"eager_recorded", eager_recorded},
                                                                     {"eager_backward", eager_backward}};
  const auto mode = argc == 3 ? modes.find(argv[1]) : modes.end();
  if (mode == modes.end()) {
    std::fprintf(stderr, "usage: %s boundary|replay|eager|eager_recorded|eager_backward COUNT\n", argv[0]);
    return 2;
  }
  try {
    mode->second(Device("null"), std::atoi(argv[2]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
