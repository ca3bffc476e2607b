// SPDX-License-Identifier: Apache-2.0
#include "cudnn_plans.h"

namespace backplane::cuda::dnn {
namespace {

using A = Attribute;

constexpr uint64_t kMostWorkspace = 256u << 20;
constexpr uint64_t kWorkspaceAlignment = 256;  // cudaMalloc's; what the host gives is aligned to 64
constexpr size_t kMostPlans = 24;

/// A variant pack is made for each launch, since a finalised one cannot be changed: some allocations of the host's by cuDNN.
class PlanStep final : public Step {
 public:
  PlanStep(Session& session, Plan plan) : session_(session), plan_(std::move(plan)) {
    sdk::copy_text(name_.text, sizeof(name_.text), plan_.name);
  }
  const Name& name() const override { return name_; }
  CUresult enqueue(CUstream stream, const Operands& operands) const override {
    const CUdeviceptr pointers[] = {address_of(operands.inputs[0]), address_of(operands.inputs[1]),
                                    address_of(operands.outputs[0])};
    const CUdeviceptr given = address_of(operands.workspace);
    const CUdeviceptr workspace = (given + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    Descriptor pack(*session_.api(), Kind::variant_pack);
    pack.set(A::pack_uids, Type::int64, kUids, std::size(kUids));
    pack.set(A::pack_pointers, Type::pointer, pointers, std::size(pointers));
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
  const auto bytes = [](const auto& value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); };
  return devicekit::digest(bytes(op.code) + bytes(op.math_mode) + bytes(*static_cast<const bp_convolution_attrs*>(op.attrs)) +
                           bytes(op.inputs[0]) + bytes(op.inputs[1]) + bytes(op.outputs[0]));
}

}  // namespace

std::vector<Plan> Plans::search(const bp_op& op) {
  std::vector<Plan> plans;
  const Api& api = *session_.api();
  const Target target{session_.handle()};
  std::shared_ptr<const Graph> graph;
  try {
    graph = std::make_shared<const Graph>(make_graph(api, target, op));
  } catch (const sdk::Failure& failure) {
    if (failure.code == BP_E_OUT_OF_MEMORY) throw;
    return plans;
  }
  for (const Configuration& config : configurations(api, target, *graph)) {
    if (plans.size() == kMostPlans) break;
    if (!allows(op, config.notes)) continue;
    try {
      Descriptor plan = make_plan(api, target, config);
      const auto workspace = static_cast<uint64_t>(plan.get_int(A::plan_workspace));
      if (workspace > kMostWorkspace) continue;
      plans.push_back({config.name, workspace == 0 ? 0 : workspace + kWorkspaceAlignment,
                       notes_of(config.notes, op.inputs[0].dtype), determinism_of(config.notes), graph, config.descriptor,
                       std::make_shared<const Descriptor>(std::move(plan))});
    } catch (const sdk::Failure&) {  // heuristics also name what this GPU or these operands do not allow
    }
  }
  return plans;
}

std::vector<Plan> Plans::list(const bp_op& op) {
  if (session_.api() == nullptr || !refuse(op).empty()) return {};
  const std::shared_ptr<Found> found = found_.get(digest_of(op));
  std::lock_guard<std::mutex> lock(found->mutex);
  if (!found->searched) found->plans = search(op);  // which serves every limit
  found->searched = true;
  std::vector<Plan> fitting;
  for (const Plan& plan : found->plans) {
    const bool steady = op.deterministic == 0 || plan.determinism >= BP_DETERMINISM_RUN;
    if (steady && plan.workspace <= op.max_workspace) fitting.push_back(plan);
  }
  return fitting;
}

std::unique_ptr<Step> Plans::step(const Plan& plan) { return std::make_unique<PlanStep>(session_, plan); }

}  // namespace backplane::cuda::dnn
