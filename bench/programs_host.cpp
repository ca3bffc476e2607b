// SPDX-License-Identifier: Apache-2.0
// What the host costs when the device costs nothing: the null plugin does no work, so all that is measured is ours.
#include "backplane/data/batches.h"
#include "backplane/graph/ops.h"
#include "case.h"
#include "kernels.h"
#include "program_job.h"
#include "small_graphs.h"
#include "tuning_database.h"

namespace backplane::bench {

namespace {

/// A launch of a prepared kernel through the plugin's table.
Work enqueue(const ProgramArguments& a) {
  const Case c{"", &graph::op::softmax, {}, {{{DType::f32, {4, 4}}}}};
  const host::KernelOp op = c.kernel_op();
  const auto kernel = std::make_shared<Prepared>(std::make_shared<Operands>(a.device, op, suitable_values(op)));
  Work work;
  work.call = [kernel, call = a.device->kernels().enqueue] { kernel->enqueue_through(call); };
  return work;
}

/// A plan of N launches, per launch.
Work replay(const ProgramArguments& a) {
  const auto small = std::make_shared<SmallGraph>(graph::Stream::of(a.device), a.dimension("N"),
                                                  graph::PassConfig::none(), true);
  Work work;
  work.call = [small] { small->run(); };
  work.calls = static_cast<double>(small->plan->stats().nodes);
  return work;
}

/// Planning a network of N nodes with every pass on, or building it, per node.
Work planning(const ProgramArguments& a) {
  const int64_t nodes = a.dimension("N");
  Work work;
  work.calls = static_cast<double>(nodes);
  if (a.word("what", "plan") == "build") {
    work.call = [nodes] { deep_network(nodes); };
    return work;
  }
  const std::shared_ptr<graph::Graph> network = deep_network(nodes);
  const graph::CompileOptions options{graph::Stream::of(a.device), graph::PassConfig::parse("all")};
  work.call = [network, options] { graph::Plan::compile(*network, options); };
  return work;
}

/// Looking up what the tuner decided.
Work tuning(const ProgramArguments& a) {
  Work work;
  work.call = tuning_lookup(a.device, a.word("what", "remembered"));
  return work;
}

/// Minibatches of N images of 28x28, prepared ahead by a thread: per image.
Work loader(const ProgramArguments& a) {
  constexpr int64_t kImages = 4096;
  struct Source {
    data::ImageSet set = data::synthetic_images(kImages, 10, 28, 28, 1);
    std::unique_ptr<data::Batches> batches;
    data::Batch batch;
  };
  const auto source = std::make_shared<Source>();
  source->batches = std::make_unique<data::Batches>(
      source->set, data::BatchOptions{.batch_size = a.dimension("N"), .drop_last = true});
  Work work;
  work.call = [source] {
    if (!source->batches->next(source->batch)) source->batches->next(source->batch);
  };
  work.calls = static_cast<double>(a.dimension("N"));
  return work;
}

constexpr Program kPrograms[] = {
    {"enqueue", "one launch of a prepared kernel through the plugin's table", true, enqueue},
    {"replay", "a plan of N launches, time of one", true, replay},
    {"planning", "a residual network of N nodes, time of one: what=plan|build", true, planning},
    {"tuning", "what the tuner decided: what=open|stored|remembered", true, tuning},
    {"loader", "minibatches of N images of 28x28, time of one image", true, loader},
};

}  // namespace

std::span<const Program> host_programs() { return kPrograms; }

}  // namespace backplane::bench
