// SPDX-License-Identifier: Apache-2.0
// A run patches the views of this run's inputs and outputs, and those of the arena when it has moved, then enqueues: no
// look-up and no allocation per launch. Where the device records, later runs over the same buffers are one submission.
#include "plan/execution.h"

#include <algorithm>
#include <chrono>

#include "backplane/autotune/recorder.h"
#include "backplane/graph/trace.h"
#include "plan/host_fallback.h"
#include "plan/memory_planner.h"
#include "plan/recordings.h"

namespace backplane::graph {
namespace {

/// One launch, ready to go.
struct Step {
  bp_kernel* kernel = nullptr;
  uint32_t first_view = 0;  ///< inputs, then outputs, then the workspace
  uint32_t num_in = 0, num_out = 0;
  bool fallback = false;
  uint32_t launch = 0;      ///< index into Lowered::launches
};

/// A view that has to be rewritten: which one, and where in its slot it points.
struct Patch {
  uint32_t view = 0;
  uint32_t index = 0;       ///< of the input or output
  uint64_t offset = 0;      ///< bytes
};

class PlanImpl final : public Plan {
 public:
  PlanImpl(const CompileOptions& options, std::unique_ptr<Graph> graph, Lowered lowered,
           std::vector<Decomposition> decompositions, std::span<const Layout> input_layouts)
      : stream_(options.stream), fallback_(lowered.fallback), graph_(std::move(graph)), lowered_(std::move(lowered)),
        decompositions_(std::move(decompositions)) {
    for (const Layout& layout : input_layouts) input_offsets_.push_back(layout.offset);
    plan_arena();
    make_steps();
    make_stats();
    if (autotune::Recorder* recorder = autotune::Recorder::instance()) {
      for (const Launch& launch : lowered_.launches) {
        const bool here = !launch.fallback && !stream_->device()->has(BP_DEVICE_REFERENCE);
        recorded_.push_back(here ? recorder->entry(stream_->policy().rule(launch.op), stream_->device()->name()) : nullptr);
      }
    }
    // One launch is one submission anyway, and what the host computes cannot be recorded.
    if (options.capture && steps_.size() > 1 && stats_.fallback_nodes == 0) recordings_ = stream_->recordings();
  }
  ~PlanImpl() override {
    if (recordings_ == nullptr) return;
    const std::lock_guard lock(stream_->mutex());
    recordings_->clear(key_prefix());
  }

  std::vector<Bound> run(std::span<const Bound> inputs) override {
    const std::lock_guard lock(stream_->mutex());
    if (stats_.arena_bytes != 0) {
      StoragePtr arena = stream_->alloc(stats_.arena_bytes);
      if (arena->buffer() != arena_buffer_) bind_arena(arena->buffer());
      // Back to the pool at the end of this call: later work of the same in-order queue may have it.
      return run_with(inputs);
    }
    return run_with(inputs);
  }

  const PlanStats& stats() const override { return stats_; }
  std::vector<Explanation> explain() const override;
  std::vector<KernelOp> operations() const override {
    std::vector<KernelOp> list;
    for (const Launch& launch : lowered_.launches) {
      if (!launch.fallback) list.push_back(stream_->policy().rule(launch.op));
    }
    return list;
  }

 private:
  static constexpr uint64_t kAlignment = 64;

  uint64_t alignment() const { return std::max<uint64_t>(kAlignment, stream_->device()->info().offset_alignment); }

  void plan_arena() {
    std::vector<BufferRequest> requests;
    std::vector<int32_t> request_of(lowered_.slots.size(), -1);
    for (size_t i = 0; i < lowered_.slots.size(); ++i) {
      const Slot& slot = lowered_.slots[i];
      if (slot.kind != Slot::Kind::arena || slot.first_use == UINT32_MAX) continue;
      BufferRequest request;
      request.first_use = slot.first_use;
      request.last_use = slot.last_use;
      request.bytes = std::max<uint64_t>(slot.bytes, 1);
      request.alignment = alignment();
      if (slot.in_place_of >= 0) request.in_place_of = request_of[static_cast<size_t>(slot.in_place_of)];
      request_of[i] = static_cast<int32_t>(requests.size());
      requests.push_back(request);
    }
    const MemoryPlan plan = plan_memory(requests);
    offsets_.assign(lowered_.slots.size(), 0);
    for (size_t i = 0; i < request_of.size(); ++i) {
      if (request_of[i] >= 0) offsets_[i] = plan.offsets[static_cast<size_t>(request_of[i])];
    }
    stats_.arena_bytes = plan.arena_bytes;
    stats_.arena_lower_bound = plan.lower_bound;
  }

  void make_steps() {
    for (size_t i = 0; i < lowered_.launches.size(); ++i) {
      const Launch& launch = lowered_.launches[i];
      Step step;
      step.kernel = launch.kernel->handle.get();
      step.first_view = static_cast<uint32_t>(views_.size());
      step.num_in = static_cast<uint32_t>(launch.in.size());
      step.num_out = static_cast<uint32_t>(launch.out.size());
      step.fallback = launch.fallback;
      step.launch = static_cast<uint32_t>(i);
      for (const Place& p : launch.in) add_view(p.slot, byte_offset(p));
      for (const Place& p : launch.out) add_view(p.slot, byte_offset(p));
      if (launch.workspace_slot >= 0) {
        add_view(static_cast<uint32_t>(launch.workspace_slot), 0);
      } else {
        views_.push_back({nullptr, 0});
      }
      steps_.push_back(step);
    }
    sort_input_patches();
  }

  void sort_input_patches() {
    std::stable_sort(input_patches_.begin(), input_patches_.end(),
                     [](const Patch& a, const Patch& b) { return a.index < b.index; });
    first_input_patch_.assign(graph_->inputs().size() + 1, 0);
    for (const Patch& patch : input_patches_) ++first_input_patch_[patch.index + 1];
    for (size_t i = 1; i < first_input_patch_.size(); ++i) first_input_patch_[i] += first_input_patch_[i - 1];
  }

  static uint64_t byte_offset(const Place& p) {
    return static_cast<uint64_t>(p.layout.offset * size_of(p.type.dtype));
  }

  void add_view(uint32_t slot_index, uint64_t offset) {
    const Slot& slot = lowered_.slots[slot_index];
    const auto view = static_cast<uint32_t>(views_.size());
    views_.push_back({nullptr, offset});
    switch (slot.kind) {
      case Slot::Kind::constant: views_.back().buffer = slot.storage->buffer(); break;
      case Slot::Kind::arena:
        views_.back().offset += offsets_[slot_index];
        arena_views_.push_back(view);
        break;
      case Slot::Kind::input: input_patches_.push_back({view, slot.index, offset}); break;
      case Slot::Kind::output: output_patches_.push_back({view, slot.index, offset}); break;
    }
  }

  void make_stats() {
    for (const Launch& launch : lowered_.launches) {
      (launch.fallback ? stats_.fallback_nodes : stats_.nodes) += 1;
      if (!launch.fallback) continue;
      for (const auto* list : {&launch.in, &launch.out}) {
        for (const Place& p : *list) stats_.fallback_bytes += static_cast<uint64_t>(p.type.bytes());
      }
    }
    for (const Slot& slot : lowered_.slots) {
      if (slot.kind == Slot::Kind::output) output_bytes_.resize(std::max<size_t>(output_bytes_.size(), slot.index + 1));
    }
    for (const Slot& slot : lowered_.slots) {
      if (slot.kind == Slot::Kind::output) output_bytes_[slot.index] = slot.bytes;
    }
  }

  void bind_arena(bp_buffer* buffer) {
    for (uint32_t view : arena_views_) views_[view].buffer = buffer;
    arena_buffer_ = buffer;
  }

  /// Rewrites the views of inputs that lie elsewhere than in the last run.
  void bind_inputs(std::span<const Bound> inputs) {
    bound_inputs_.resize(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Bound& bound = inputs[i];
      if (i + 1 >= first_input_patch_.size() || first_input_patch_[i] == first_input_patch_[i + 1]) continue;
      const int64_t moved = (bound.layout.offset - base_offset(i)) * size_of(bound.type.dtype);
      const bp_view now{bound.storage->buffer(), static_cast<uint64_t>(moved)};
      if (bound_inputs_[i].buffer == now.buffer && bound_inputs_[i].offset == now.offset) continue;
      bound_inputs_[i] = now;
      for (uint32_t k = first_input_patch_[i]; k < first_input_patch_[i + 1]; ++k) {
        views_[input_patches_[k].view] = {now.buffer, input_patches_[k].offset + now.offset};
      }
    }
  }

  std::vector<Bound> run_with(std::span<const Bound> inputs) {
    std::vector<StoragePtr> outputs;
    outputs.reserve(output_bytes_.size());
    for (uint64_t bytes : output_bytes_) outputs.push_back(stream_->alloc(bytes));
    bind_inputs(inputs);
    for (const Patch& patch : output_patches_) views_[patch.view].buffer = outputs[patch.index]->buffer();
    if (Trace* trace = Trace::active()) {
      run_traced(*trace);
    } else if (!recorded_.empty()) {
      run_recorded();
    } else if (recordings_ != nullptr) {
      write_key(outputs);
      stats_.replays += recordings_->run(key_, [this] { run_steps(steps_); });
    } else {
      run_steps(steps_);
    }
    ++stats_.runs;
    std::vector<Bound> result;
    result.reserve(lowered_.outputs.size());
    for (const Place& p : lowered_.outputs) result.push_back(output(p, inputs, outputs));
    return result;
  }

  /// What tells this plan's recordings from another's: no other plan has this address while it lives.
  std::string key_prefix() const {
    const PlanImpl* const self = this;
    return std::string(reinterpret_cast<const char*>(&self), sizeof(self));
  }

  /// The plan and every buffer that can differ between runs.
  void write_key(std::span<const StoragePtr> outputs) {
    key_ = key_prefix();
    const auto add = [&](const void* data, size_t bytes) { key_.append(static_cast<const char*>(data), bytes); };
    add(&arena_buffer_, sizeof(arena_buffer_));
    add(bound_inputs_.data(), bound_inputs_.size() * sizeof(bp_view));
    for (const StoragePtr& output : outputs) {
      bp_buffer* const buffer = output->buffer();
      add(&buffer, sizeof(buffer));
    }
  }

  /// Offset that input `index` was compiled with: places already contain it.
  int64_t base_offset(size_t index) const { return index < input_offsets_.size() ? input_offsets_[index] : 0; }

  Bound output(const Place& p, std::span<const Bound> inputs, std::span<const StoragePtr> outputs) const {
    const Slot& slot = lowered_.slots[p.slot];
    switch (slot.kind) {
      case Slot::Kind::input: return {inputs[slot.index].storage, p.type, with_offset(p, inputs[slot.index])};
      case Slot::Kind::constant: return {slot.storage, p.type, p.layout};
      case Slot::Kind::output: return {outputs[slot.index], p.type, p.layout};
      case Slot::Kind::arena: break;
    }
    fail_internal("an output lies in the arena");
  }

  Layout with_offset(const Place& p, const Bound& bound) const {
    Layout layout = p.layout;
    layout.offset += bound.layout.offset - base_offset(lowered_.slots[p.slot].index);
    return layout;
  }

  void run_steps(std::span<const Step> steps) {
    const auto enqueue = stream_->device()->kernels().enqueue;
    bp_queue* const queue = stream_->queue();
    bp_error error = host::make_error();
    for (const Step& step : steps) {
      const bp_view* views = views_.data() + step.first_view;
      const bp_status status =
          step.fallback ? run_on_host(lowered_.launches[step.launch], {views, step.num_in + step.num_out}, *stream_, *fallback_, &error)
                        : enqueue(queue, step.kernel, views, views + step.num_in, views[step.num_in + step.num_out], &error);
      if (status < 0) fail_launch(step, status, error);
    }
  }

  void run_traced(Trace& trace) {
    for (const Step& step : steps_) {
      const Trace::Span span(trace, launch_name(lowered_.launches[step.launch]),
                             step.fallback ? fallback_->device()->name() : stream_->device()->name());
      run_steps(std::span(&step, 1));
      stream_->finish();
    }
  }

  /// Counts launches for BACKPLANE_TUNE_RECORD. A few runs wait for each launch, so that it has a time; the first one, which may
  /// compile, does not count.
  void run_recorded() {
    constexpr uint64_t kFirstTimed = 1, kLastTimed = 4;
    const bool timed = stats_.runs >= kFirstTimed && stats_.runs <= kLastTimed;
    for (size_t i = 0; i < steps_.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      run_steps(std::span(&steps_[i], 1));
      if (recorded_[i] == nullptr) continue;
      recorded_[i]->calls.fetch_add(1, std::memory_order_relaxed);
      if (!timed) continue;
      stream_->finish();
      recorded_[i]->timed(static_cast<uint64_t>((std::chrono::steady_clock::now() - start).count()));
    }
  }

  std::string launch_name(const Launch& launch) const {
    const Node& node = graph_->node(launch.node);
    return std::string(node.op->name) + (launch.how == "native" ? "" : " (" + launch.how + ")");
  }

  [[noreturn]] void fail_launch(const Step& step, bp_status status, const bp_error& error) const {
    const Launch& launch = lowered_.launches[step.launch];
    const Node& node = graph_->node(launch.node);
    std::vector<Type> operands;
    for (const Place& p : launch.in) operands.push_back(p.type);
    const std::string device = (step.fallback ? fallback_ : stream_)->device()->name();
    backplane::fail(node.op->name, device + ": " + host::status_text(status) + ": " + error.message, operands, node.loc);
  }

  StreamPtr stream_, fallback_;
  std::unique_ptr<Graph> graph_;
  Lowered lowered_;
  std::vector<Decomposition> decompositions_;
  std::vector<uint64_t> offsets_;      ///< in the arena, by slot
  std::vector<Step> steps_;
  std::vector<bp_view> views_;
  std::vector<uint32_t> arena_views_;
  std::vector<Patch> input_patches_, output_patches_;
  std::vector<uint32_t> first_input_patch_;  ///< by input: where its patches begin; one more than there are inputs
  std::vector<bp_view> bound_inputs_;        ///< where each input lay in the last run
  std::vector<uint64_t> output_bytes_;
  bp_buffer* arena_buffer_ = nullptr;
  PlanStats stats_;
  std::vector<int64_t> input_offsets_;  ///< elements, that inputs were compiled with
  Recordings* recordings_ = nullptr;    ///< the stream's; null when this plan is not recorded
  std::vector<std::shared_ptr<autotune::Recorded>> recorded_;  ///< by step, null on the host; empty when nobody records
  std::string key_;                     ///< of this run's recording
};

std::vector<Explanation> PlanImpl::explain() const {
  std::vector<Explanation> rows;
  for (const Launch& launch : lowered_.launches) {
    const Node& node = graph_->node(launch.node);
    Explanation row;
    row.node = "%" + std::to_string(launch.node);
    row.op = node.op->name;
    row.type = graph_->types_of(launch.node)[0].to_string();
    row.device = (launch.fallback ? fallback_ : stream_)->device()->name();
    row.how = launch.fallback ? "fell back" : launch.how.starts_with("native") ? launch.how + ": " + launch.kernel->variant : launch.how;
    row.reason = launch.fallback ? stream_->device()->name() + ": " + launch.reason : launch.reason;
    row.source = node.loc.to_string();
    row.variant = launch.kernel->variant;
    if (launch.decision != nullptr) row.level = name_of(launch.decision->level), row.why = launch.decision->why;
    rows.push_back(std::move(row));
  }
  for (const Decomposition& d : decompositions_) {
    rows.push_back({"", std::string(d.op->name), d.type.to_string(), stream_->device()->name(), "decomposed",
                    stream_->device()->plugin_name() + ": " + d.reason, d.loc.to_string(), "", "", ""});
  }
  return rows;
}

}  // namespace

std::shared_ptr<Plan> make_execution(const CompileOptions& options, std::unique_ptr<Graph> graph, Lowered lowered,
                                     std::vector<Decomposition> decompositions, std::span<const Layout> input_layouts) {
  return std::make_shared<PlanImpl>(options, std::move(graph), std::move(lowered), std::move(decompositions),
                                    input_layouts);
}

}  // namespace backplane::graph
