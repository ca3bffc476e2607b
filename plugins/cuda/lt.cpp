// SPDX-License-Identifier: Apache-2.0
#include "lt.h"

#include <dlfcn.h>

#include <algorithm>

#include "backplane/sdk/program.hpp"

namespace backplane::cuda {

#define BACKPLANE_LT_CALLS(X)                                                                                          \
  X(Create) X(Destroy) X(GetVersion) X(MatmulDescInit_internal) X(MatmulDescSetAttribute)                              \
  X(MatrixLayoutCreate) X(MatrixLayoutDestroy) X(MatrixLayoutSetAttribute) X(MatmulPreferenceCreate)                   \
  X(MatmulPreferenceDestroy) X(MatmulPreferenceSetAttribute) X(MatmulAlgoGetHeuristic) X(MatmulAlgoConfigGetAttribute) \
  X(Matmul)

struct BlasLt::Api {
#define X(name) decltype(&::cublasLt##name) name = nullptr;
  BACKPLANE_LT_CALLS(X)
#undef X
};

namespace {

constexpr uint64_t kMostWorkspace = 32u << 20;
constexpr uint64_t kWorkspaceAlignment = 256;  // cublasLtMatmul's; what the host gives is aligned to 64
constexpr int kMostCandidates = 16;

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw sdk::Failure(BP_E_INTERNAL, std::string("[cuda] ") + what + " failed with cuBLAS status " + std::to_string(status),
                     BP_SCOPE_CALL, 0, "cublas", status);
}

/// Where the operands lie that a description of the operation holds by address.
struct Pointers {
  CUdeviceptr bias = 0, scales[2] = {0, 0};
};

/// What is done, for operands that lie there. The struct is the caller's, so that every launch has its own with its own
/// address, and makes it without an allocation.
cublasLtMatmulDescOpaque_t operation_of(const BlasLt::Api& api, const LtProblem& p, const Pointers& at) {
  cublasLtMatmulDescOpaque_t made;
  const cudaDataType_t scale = p.type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F;
  check(api.MatmulDescInit_internal(&made, sizeof(made), p.compute, scale), "cublasLtMatmulDescInit");
  const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
    check(api.MatmulDescSetAttribute(&made, what, &value, sizeof(value)), "cublasLtMatmulDescSetAttribute");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (p.epilogue != CUBLASLT_EPILOGUE_DEFAULT) set(CUBLASLT_MATMUL_DESC_EPILOGUE, p.epilogue);
  if (p.bias) {  // of the result's dtype, which is what cuBLASLt takes unless told otherwise
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, at.bias);
    set(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, p.bias_step);
  }
  constexpr cublasLtMatmulDescAttributes_t kScales[] = {CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER};
  for (size_t i = 0; i < p.scales.size(); ++i) set(kScales[i], at.scales[i]);
  return made;
}

/// cuBLASLt's descriptors of a problem's matrices.
struct Layouts {
  Layouts(const BlasLt& lt, const LtProblem& p) : api(*lt.api()) {
    left = layout(p.left, p.type, p.batch);
    right = layout(p.right, p.type, p.batch);
    result = layout(p.result, p.result_type, p.batch);
    // The product is made in place of C only where both have one descriptor.
    added = p.addend && p.added != p.result ? layout(p.added, p.result_type, p.batch) : result;
  }
  ~Layouts() {
    if (added != result) api.MatrixLayoutDestroy(added);
    for (const cublasLtMatrixLayout_t each : {left, right, result}) {
      if (each != nullptr) api.MatrixLayoutDestroy(each);
    }
  }
  Layouts(const Layouts&) = delete;
  Layouts& operator=(const Layouts&) = delete;

  cublasLtMatrixLayout_t layout(const LtMatrix& m, cudaDataType_t type, int64_t batch) const {
    cublasLtMatrixLayout_t made = nullptr;
    check(api.MatrixLayoutCreate(&made, type, static_cast<uint64_t>(m.rows), static_cast<uint64_t>(m.columns), m.leading),
          "cublasLtMatrixLayoutCreate");
    const auto count = static_cast<int32_t>(batch);
    check(api.MatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)), "setting the batch");
    check(api.MatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.batch_step, sizeof(m.batch_step)),
          "setting the batch's step");
    return made;
  }

  const BlasLt::Api& api;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, added = nullptr, result = nullptr;
};

/// `alignment` is the one that all operands have in bytes, the bias too: for the heuristic it stands for addresses.
std::vector<cublasLtMatmulHeuristicResult_t> candidates(const BlasLt& lt, const LtProblem& problem, const Layouts& l,
                                                        uint64_t workspace, uint32_t alignment, int most) {
  const BlasLt::Api& api = *lt.api();
  cublasLtMatmulDescOpaque_t operation = operation_of(api, problem, {alignment, {alignment, alignment}});
  cublasLtMatmulPreference_t preference = nullptr;
  check(api.MatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>, decltype(api.MatmulPreferenceDestroy)> owner(
      preference, api.MatmulPreferenceDestroy);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    check(api.MatmulPreferenceSetAttribute(preference, what, &value, sizeof(value)), "cublasLtMatmulPreferenceSetAttribute");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  for (const auto what : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(what, alignment);
  }
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
  int count = 0;
  const cublasStatus_t status = api.MatmulAlgoGetHeuristic(lt.handle(), &operation, l.left, l.right, l.added, l.result,
                                                           preference, most, found.data(), &count);
  found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(count) : 0);
  std::erase_if(found, [](const auto& each) { return each.state != CUBLAS_STATUS_SUCCESS; });
  return found;
}

/// `name`@, the algorithm and its attributes that are not 0, which says the same in less: names have 95 characters.
std::string name_of(const BlasLt::Api& api, std::string name, const cublasLtMatmulAlgo_t& algorithm) {
  struct Row {
    const char* name;
    cublasLtMatmulAlgoConfigAttributes_t what;
    size_t bytes;
  };
  constexpr Row kRows[] = {
      {"id", CUBLASLT_ALGO_CONFIG_ID, 4},                {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, 4},
      {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},     {"splitk", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
      {"sum", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4}, {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
      {"option", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4}, {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},
      {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2}};
  name += '@';
  for (const Row& row : kRows) {
    uint32_t value = 0;
    size_t written = 0;
    if (api.MatmulAlgoConfigGetAttribute(&algorithm, row.what, &value, row.bytes, &written) != CUBLAS_STATUS_SUCCESS) continue;
    if (value == 0 && row.what != CUBLASLT_ALGO_CONFIG_ID) continue;
    name += (name.back() == '@' ? "" : ",") + std::string(row.name) + "=" + std::to_string(value);
  }
  return name;
}

/// One candidate with all it needs to run.
struct Choice {
  LtProblem problem;
  std::shared_ptr<const Layouts> layouts;
  cublasLtMatmulHeuristicResult_t best, fallback;  ///< for operands aligned to kLtAlignment, and for any
  std::string name;
};

/// alpha or beta, in the type that the sum has.
struct Scale {
  Scale(const LtProblem& p, double value) : wide(value), narrow(static_cast<float>(value)), is_wide(p.type == CUDA_R_64F) {}
  const void* get() const { return is_wide ? static_cast<const void*>(&wide) : &narrow; }
  double wide;
  float narrow;
  bool is_wide;
};

class Product final : public Step {
 public:
  Product(const BlasLt& lt, std::shared_ptr<const Choice> choice) : lt_(lt), choice_(std::move(choice)) {
    sdk::copy_text(name_.text, sizeof(name_.text), choice_->name);
  }
  const Name& name() const override { return name_; }
  CUresult enqueue(CUstream stream, const Operands& operands) const override {
    const Choice& c = *choice_;
    const LtProblem& p = c.problem;
    const CUdeviceptr a = address_of(operands.inputs[0]), b = address_of(operands.inputs[1]);
    const CUdeviceptr scratch = address_of(operands.workspace), rest = scratch + p.product_bytes;
    const CUdeviceptr workspace = (rest + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    const CUdeviceptr result = p.product_bytes != 0 ? scratch : address_of(operands.outputs[0]);
    const CUdeviceptr added = p.addend ? address_of(operands.inputs[*p.addend]) : result;
    const CUdeviceptr bias = p.bias ? address_of(operands.inputs[*p.bias]) : 0;
    const auto& chosen = (a | b | added | bias | result) % kLtAlignment == 0 ? c.best : c.fallback;
    Pointers at{bias};
    for (size_t i = 0; i < p.scales.size(); ++i) at.scales[i] = address_of(operands.inputs[p.scales[i]]);
    cublasLtMatmulDescOpaque_t operation = operation_of(*lt_.api(), p, at);
    const auto pointer = [](CUdeviceptr address) { return reinterpret_cast<void*>(address); };
    check(lt_.api()->Matmul(lt_.handle(), &operation, Scale(p, p.alpha).get(), pointer(p.left_is_a ? a : b), c.layouts->left,
                            pointer(p.left_is_a ? b : a), c.layouts->right, Scale(p, p.beta).get(), pointer(added),
                            c.layouts->added, pointer(result), c.layouts->result, &chosen.algo, pointer(workspace),
                            chosen.workspaceSize, reinterpret_cast<cudaStream_t>(stream)),
          "cublasLtMatmul");
    return CUDA_SUCCESS;
  }

 private:
  const BlasLt& lt_;
  std::shared_ptr<const Choice> choice_;
  Name name_;
};

/// The candidates for a problem, as variants called `name`@...
void add_variants(const BlasLt& lt, const bp_op& op, const LtProblem& problem, const char* name, std::vector<LtVariant>& list) {
  if (problem.product_bytes > op.max_workspace) return;
  const auto layouts = std::make_shared<const Layouts>(lt, problem);
  const uint64_t left = op.max_workspace - problem.product_bytes;
  const uint64_t workspace = std::min(left > kWorkspaceAlignment ? left - kWorkspaceAlignment : 0, kMostWorkspace);
  const uint32_t element = std::min(sdk::dtype_size(op.outputs[0].dtype), sdk::dtype_size(op.inputs[0].dtype));
  const bool f8 = sdk::is_f8(op.inputs[0].dtype);  // which cuBLASLt takes on multiples of 16 bytes alone
  const uint32_t least = f8 ? kLtAlignment : element;
  const auto any = candidates(lt, problem, *layouts, workspace, least, 1);
  if (any.empty()) return;
  const size_t first = list.size();
  for (const auto& candidate : candidates(lt, problem, *layouts, workspace, kLtAlignment, kMostCandidates)) {
    auto choice = std::make_shared<Choice>(Choice{problem, layouts, candidate, any[0], name_of(*lt.api(), name, candidate.algo)});
    const auto same = [&](const LtVariant& v) { return v.name == choice->name; };
    if (std::any_of(list.begin() + static_cast<ptrdiff_t>(first), list.end(), same)) continue;
    const uint64_t scratch = std::max(candidate.workspaceSize, any[0].workspaceSize);
    const uint64_t needed = problem.product_bytes + (scratch != 0 ? scratch + kWorkspaceAlignment : 0);
    list.push_back({choice->name, needed, problem.notes, problem.product_bytes != 0, choice, false, f8});
  }
}

}  // namespace

BlasLt::BlasLt(const sdk::Host& host) : context_(current_context()) {
  std::string problem;
  void* library = nullptr;
  if (const auto path = host.config("cuda.cublaslt")) {
    library = open_library(path->c_str(), problem);
  } else {
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
      if (library == nullptr) library = open_library(name, problem);
    }
  }
  if (library == nullptr) {
    host.log(BP_LOG_INFO, "cuda", "no cuBLASLt, so matmul has Backplane's own kernels alone: " + problem);
    return;
  }
  static Api api;  // every device of a process opens the same library
#define X(name)                                                                            \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "cublasLt" #name));       \
  if (api.name == nullptr) {                                                               \
    host.log(BP_LOG_WARNING, "cuda", "libcublasLt.so has no cublasLt" #name "; not used"); \
    return;                                                                                \
  }
  BACKPLANE_LT_CALLS(X)
#undef X
  if (const cublasStatus_t status = api.Create(&handle_); status != CUBLAS_STATUS_SUCCESS) {
    host.log(BP_LOG_WARNING, "cuda", "cuBLASLt does not start: status " + std::to_string(status) + "; not used");
    return;
  }
  version_ = "cublasLt " + std::to_string(api.GetVersion());
  api_ = &api;
}

BlasLt::~BlasLt() {
  if (handle_ == nullptr) return;
  const Current current(context_);
  api_->Destroy(handle_);
}

std::vector<LtVariant> lt_variants(const BlasLt& lt, const bp_op& op) {
  std::vector<LtVariant> list;
  if (lt.api() == nullptr || op.code != BP_OP_MATMUL) return list;
  const auto product = lt_product_problem(op);
  if (product) add_variants(lt, op, *product, "cublaslt", list);
  for (LtVariant& each : list) each.leaves_epilogue = op.program != nullptr;
  if (const auto fused = lt_fused_problem(op)) {
    std::vector<LtVariant> whole;
    add_variants(lt, op, *fused, "cublaslt+epilogue", whole);
    // Sums are what they are; that cuBLASLt's activations keep NaN is not proven, so those do not come first.
    const bool sums = fused->epilogue == CUBLASLT_EPILOGUE_DEFAULT || fused->epilogue == CUBLASLT_EPILOGUE_BIAS;
    list.insert(sums ? list.begin() : list.end(), whole.begin(), whole.end());
  }
  return list;
}

std::unique_ptr<Step> lt_product(const BlasLt& lt, const LtVariant& variant) {
  return std::make_unique<Product>(lt, std::static_pointer_cast<const Choice>(variant.choice));
}

}  // namespace backplane::cuda
