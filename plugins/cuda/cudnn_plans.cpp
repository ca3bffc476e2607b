// SPDX-License-Identifier: Apache-2.0
#include "cudnn_plans.h"

#include <algorithm>

#include "cudnn_attention.h"

namespace backplane::cuda::dnn {
namespace {

using A = Attribute;

constexpr uint64_t kMostWorkspace = 256u << 20;
constexpr uint64_t kWorkspaceAlignment = 256;  // cudaMalloc's; what the host gives is aligned to 64
constexpr size_t kMostPlans = 64;

/// A variant pack is made for each launch, since a finalised one cannot be changed: some small allocations on the host.
class PlanStep final : public Step {
 public:
  PlanStep(Session& session, Plan plan) : session_(session), plan_(std::move(plan)) {
    sdk::copy_text(name_.text, sizeof(name_.text), plan_.name);
  }
  const Name& name() const override { return name_; }
  CUresult enqueue(CUstream stream, const Operands& operands) const override {
    const Graph& graph = *plan_.graph;
    std::vector<int64_t> uids;
    std::vector<const void*> pointers;
    for (const Graph::Binding& each : graph.bindings) {
      const bp_view& view = each.is_output ? operands.outputs[each.index] : operands.inputs[each.index];
      uids.push_back(each.uid), pointers.push_back(reinterpret_cast<const void*>(address_of(view)));
    }
    for (const Graph::Constant& each : graph.constants) uids.push_back(each.uid), pointers.push_back(&each.bits);
    const CUdeviceptr given = address_of(operands.workspace);
    const CUdeviceptr workspace = (given + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    Descriptor pack(*session_.api(), Kind::variant_pack);
    pack.set(A::pack_uids, uids).set(A::pack_pointers, Type::pointer, pointers.data(), pointers.size());
    pack.set(A::pack_workspace, Type::pointer, &workspace).finalize("a variant pack");
    session_.execute(stream, *plan_.executable, pack);
    return CUDA_SUCCESS;
  }

 private:
  Session& session_;
  Plan plan_;
  Name name_;
};

devicekit::Digest digest_of(const bp_op& op) {
  std::string all;
  const auto add = [&](const auto& value) { all.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  add(op.code), add(op.math_mode), add(op.num_inputs), add(op.num_outputs);
  if (is_attention(op)) add(*static_cast<const bp_attention_attrs*>(op.attrs));
  else add(*static_cast<const bp_convolution_attrs*>(op.attrs));
  for (uint32_t i = 0; i < op.num_inputs; ++i) add(op.inputs[i]);
  for (uint32_t i = 0; i < op.num_outputs; ++i) add(op.outputs[i]);
  return devicekit::digest(all);
}

}  // namespace

void Plans::search(const bp_op& op, Found& into) {
  const Api& api = *session_.api();
  const Target target{session_.handle()};
  try {
    into.graph = std::make_shared<const Graph>(make_graph(api, target, op));
  } catch (const sdk::Failure& failure) {
    if (failure.code == BP_E_OUT_OF_MEMORY) throw;
    return;
  }
  for (Configuration& each : configurations(api, target, *into.graph)) {
    if (into.candidates.size() < kMostPlans && allows(op, each.notes)) into.candidates.push_back({std::move(each), false, {}});
  }
}

std::shared_ptr<Plans::Found> Plans::found(const bp_op& op) {
  if (!refuse(op).empty() || session_.handle() == nullptr) return nullptr;
  std::shared_ptr<Found> known = found_.get(digest_of(op));
  std::lock_guard<std::mutex> lock(known->mutex);
  if (!known->searched) search(op, *known);
  known->searched = true;
  return known;
}

std::optional<Plan> Plans::finished(const bp_op& op, const Found& found, Candidate& candidate) {
  if (!std::exchange(candidate.tried, true)) {
    try {
      const Configuration& c = candidate.configuration;
      Descriptor plan = make_plan(*session_.api(), {session_.handle()}, c);
      const auto workspace = static_cast<uint64_t>(plan.get_int(A::plan_workspace));
      candidate.plan = {c.name, workspace == 0 ? 0 : workspace + kWorkspaceAlignment, notes_of(c.notes, op.inputs[0].dtype),
                        determinism_of(c.notes), found.graph, c.descriptor, std::make_shared<const Descriptor>(std::move(plan))};
    } catch (const sdk::Failure&) {  // heuristics also name what this GPU or these operands do not allow
    }
  }
  const uint64_t room = std::min(op.max_workspace, kMostWorkspace);
  const bool fits = candidate.plan && candidate.plan->workspace <= room &&
                    (op.deterministic == 0 || candidate.plan->determinism >= BP_DETERMINISM_RUN);
  return fits ? candidate.plan : std::nullopt;
}

std::vector<Plan> Plans::list(const bp_op& op) {
  std::vector<Plan> fitting;
  const std::shared_ptr<Found> known = found(op);
  if (known == nullptr) return fitting;
  std::lock_guard<std::mutex> lock(known->mutex);
  for (Candidate& each : known->candidates) {
    if (auto plan = finished(op, *known, each)) fitting.push_back(std::move(*plan));
  }
  return fitting;
}

std::optional<Plan> Plans::find(const bp_op& op, std::string_view name) {
  const std::shared_ptr<Found> known = found(op);
  if (known == nullptr) return std::nullopt;
  std::lock_guard<std::mutex> lock(known->mutex);
  for (Candidate& each : known->candidates) {
    if (each.configuration.name == name) return finished(op, *known, each);
  }
  return std::nullopt;
}

std::unique_ptr<Step> Plans::step(const Plan& plan) { return std::make_unique<PlanStep>(session_, plan); }

}  // namespace backplane::cuda::dnn
