// SPDX-License-Identifier: Apache-2.0
#include "lt.h"

#include <dlfcn.h>

#include <algorithm>
#include <optional>

#include "backplane/sdk/program.hpp"

namespace backplane::cuda {

#define BACKPLANE_LT_CALLS(X)                                                                                          \
  X(Create) X(Destroy) X(GetVersion) X(MatmulDescCreate) X(MatmulDescDestroy) X(MatmulDescSetAttribute)                \
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
constexpr uint32_t kAlignment = 16;  // of operands that the candidates may count on; others take the fallback

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw sdk::Failure(BP_E_INTERNAL, std::string("[cuda] ") + what + " failed with cuBLAS status " + std::to_string(status),
                     BP_SCOPE_CALL, 0, "cublas", status);
}

/// A column-major matrix, or its transpose, with a constant step from one batch entry to the next.
struct Matrix {
  int64_t rows = 0, columns = 0, leading = 0, batch_step = 0;
  bool transposed = false;
};

/// The one stride that walks all batch entries, or nothing.
std::optional<int64_t> batch_step(const bp_tensor_desc& desc) {
  std::optional<int64_t> step;
  int64_t expected = 0;
  for (uint32_t axis = desc.rank - 2; axis-- > 0;) {
    if (desc.shape[axis] == 1) continue;
    if (!step) step = desc.strides[axis];
    else if (desc.strides[axis] != expected) return std::nullopt;
    expected = desc.strides[axis] * desc.shape[axis];
  }
  return step.value_or(0);
}

/// `desc` as a matrix whose rows go along axis `row`, the other one of its last two being its columns.
std::optional<Matrix> matrix(const bp_tensor_desc& desc, uint32_t row) {
  const uint32_t column = 2 * desc.rank - 3 - row;
  const auto step = batch_step(desc);
  if (!step || *step < 0) return std::nullopt;
  const auto dense = [&](uint32_t inner, uint32_t outer) -> std::optional<int64_t> {
    if (desc.shape[inner] != 1 && desc.strides[inner] != 1) return std::nullopt;
    const int64_t leading = desc.shape[outer] == 1 ? desc.shape[inner] : desc.strides[outer];
    return leading >= desc.shape[inner] ? std::optional(leading) : std::nullopt;
  };
  if (const auto leading = dense(row, column)) return Matrix{desc.shape[row], desc.shape[column], *leading, *step, false};
  if (const auto leading = dense(column, row)) return Matrix{desc.shape[column], desc.shape[row], *leading, *step, true};
  return std::nullopt;
}

/// Strides in row-major order without gaps; returns how many elements that is.
int64_t make_dense(bp_tensor_desc& desc) {
  int64_t elements = 1;
  for (uint32_t axis = desc.rank; axis-- > 0; elements *= desc.shape[axis]) desc.strides[axis] = elements;
  return elements;
}

/// What the operation is in cuBLASLt's terms: D = op(L) op(R), column-major.
struct Problem {
  Matrix left, right, result;
  bool left_is_a = false;
  int64_t batch = 1;
  cudaDataType_t type = CUDA_R_32F, result_type = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  uint32_t notes = 0;
  uint64_t product_bytes = 0;  ///< of the product's place in the workspace; 0: it is made in the output
};

std::optional<cudaDataType_t> data_type(uint32_t dtype) {
  switch (dtype) {
    case BP_F32: return CUDA_R_32F;
    case BP_F64: return CUDA_R_64F;
    case BP_F16: return CUDA_R_16F;
    case BP_BF16: return CUDA_R_16BF;
  }
  return std::nullopt;
}

void choose_arithmetic(const bp_op& op, Problem& p) {
  if (p.type == CUDA_R_64F) p.compute = CUBLAS_COMPUTE_64F;
  if (p.type != CUDA_R_32F) {
    if (p.type != CUDA_R_64F) p.notes |= BP_NOTE_TENSOR_CORE;
  } else if (op.math_mode == BP_MATH_TF32) {
    p.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    p.notes |= BP_NOTE_TENSOR_CORE | BP_NOTE_TF32;
  } else if (op.math_mode == BP_MATH_FAST) {
    p.compute = CUBLAS_COMPUTE_32F_FAST_16BF;
    p.notes |= BP_NOTE_TENSOR_CORE | BP_NOTE_REDUCED_INPUTS;
  }
}

std::optional<Problem> describe(const bp_op& op) {
  const bp_tensor_desc &a = op.inputs[0], &b = op.inputs[1], &y = op.outputs[0];
  const auto type = data_type(a.dtype);
  if (!type || b.dtype != a.dtype) return std::nullopt;
  Problem p;
  p.type = p.result_type = *type;
  bp_tensor_desc product = y;
  if (op.program != nullptr) {  // the epilogue wants the product unrounded
    p.result_type = *type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F;
    const bool in_place = data_type(y.dtype) == p.result_type;
    if (!in_place) {
      const auto elements = static_cast<uint64_t>(make_dense(product));
      p.product_bytes = (elements * (*type == CUDA_R_64F ? 8 : 4) + 255) / 256 * 256;
    }
  } else if (y.dtype != a.dtype) {
    return std::nullopt;
  }
  const uint32_t m_axis = y.rank - 2, n_axis = y.rank - 1;
  for (uint32_t axis = 0; axis < y.rank; ++axis) {
    if (y.shape[axis] == 0 || a.shape[axis] == 0) return std::nullopt;
    if (axis < m_axis) p.batch *= y.shape[axis];
  }
  // A row-major result is the column-major transpose, b^T a^T; a column-major one is a b itself.
  const auto by_columns = matrix(product, m_axis);
  p.left_is_a = by_columns && !by_columns->transposed;
  const auto result = p.left_is_a ? by_columns : matrix(product, n_axis);
  const auto left = p.left_is_a ? matrix(a, m_axis) : matrix(b, n_axis);
  const auto right = p.left_is_a ? matrix(b, m_axis) : matrix(a, n_axis);
  if (!result || result->transposed || !left || !right) return std::nullopt;
  p.result = *result, p.left = *left, p.right = *right;
  choose_arithmetic(op, p);
  return p;
}

/// cuBLASLt's descriptors of a problem.
struct Descriptors {
  Descriptors(const BlasLt& lt, const Problem& p) : api(*lt.api()) {
    const cudaDataType_t scale = p.type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F;
    check(api.MatmulDescCreate(&operation, p.compute, scale), "cublasLtMatmulDescCreate");
    const auto set = [&](cublasLtMatmulDescAttributes_t what, bool transposed) {
      const cublasOperation_t value = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      check(api.MatmulDescSetAttribute(operation, what, &value, sizeof(value)), "cublasLtMatmulDescSetAttribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.left.transposed);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.right.transposed);
    left = layout(p.left, p.type, p.batch);
    right = layout(p.right, p.type, p.batch);
    result = layout(p.result, p.result_type, p.batch);
  }
  ~Descriptors() {
    for (const cublasLtMatrixLayout_t each : {left, right, result}) {
      if (each != nullptr) api.MatrixLayoutDestroy(each);
    }
    if (operation != nullptr) api.MatmulDescDestroy(operation);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  cublasLtMatrixLayout_t layout(const Matrix& m, cudaDataType_t type, int64_t batch) const {
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
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, result = nullptr;
};

std::vector<cublasLtMatmulHeuristicResult_t> candidates(const BlasLt& lt, const Descriptors& d, uint64_t workspace,
                                                        uint32_t alignment, int most) {
  const BlasLt::Api& api = *lt.api();
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
  const cublasStatus_t status = api.MatmulAlgoGetHeuristic(lt.handle(), d.operation, d.left, d.right, d.result, d.result,
                                                           preference, most, found.data(), &count);
  found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(count) : 0);
  std::erase_if(found, [](const auto& each) { return each.state != CUBLAS_STATUS_SUCCESS; });
  return found;
}

std::string name_of(const BlasLt::Api& api, const cublasLtMatmulAlgo_t& algorithm) {
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
  std::string name = "cublaslt@";
  for (const Row& row : kRows) {
    uint32_t value = 0;
    size_t written = 0;
    if (api.MatmulAlgoConfigGetAttribute(&algorithm, row.what, &value, row.bytes, &written) != CUBLAS_STATUS_SUCCESS) continue;
    name += (name.back() == '@' ? "" : ",") + std::string(row.name) + "=" + std::to_string(value);
  }
  return name;
}

/// One candidate with all it needs to run.
struct Choice {
  Problem problem;
  std::shared_ptr<const Descriptors> descriptors;
  cublasLtMatmulHeuristicResult_t best, fallback;  ///< for operands aligned to kAlignment, and for any
  std::string name;
};

class Product final : public Step {
 public:
  Product(const BlasLt& lt, std::shared_ptr<const Choice> choice) : lt_(lt), choice_(std::move(choice)) {
    sdk::copy_text(name_.text, sizeof(name_.text), choice_->name);
  }
  const Name& name() const override { return name_; }
  CUresult enqueue(CUstream stream, const Operands& operands) const override {
    const Choice& c = *choice_;
    const CUdeviceptr a = address_of(operands.inputs[0]), b = address_of(operands.inputs[1]);
    const CUdeviceptr scratch = address_of(operands.workspace), rest = scratch + c.problem.product_bytes;
    const CUdeviceptr workspace = (rest + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    const CUdeviceptr result = c.problem.product_bytes != 0 ? scratch : address_of(operands.outputs[0]);
    const auto& chosen = (a | b | result) % kAlignment == 0 ? c.best : c.fallback;
    const double one64 = 1, zero64 = 0;
    const float one32 = 1, zero32 = 0;
    const bool wide = c.problem.type == CUDA_R_64F;
    const void* const one = wide ? static_cast<const void*>(&one64) : &one32;
    const void* const zero = wide ? static_cast<const void*>(&zero64) : &zero32;
    void* const to = reinterpret_cast<void*>(result);
    check(lt_.api()->Matmul(lt_.handle(), c.descriptors->operation, one,
                            reinterpret_cast<void*>(c.problem.left_is_a ? a : b), c.descriptors->left,
                            reinterpret_cast<void*>(c.problem.left_is_a ? b : a), c.descriptors->right, zero, to,
                            c.descriptors->result, to, c.descriptors->result, &chosen.algo,
                            reinterpret_cast<void*>(workspace), chosen.workspaceSize,
                            reinterpret_cast<cudaStream_t>(stream)),
          "cublasLtMatmul");
    return CUDA_SUCCESS;
  }

 private:
  const BlasLt& lt_;
  std::shared_ptr<const Choice> choice_;
  Name name_;
};

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
  const auto problem = describe(op);
  if (!problem || problem->product_bytes > op.max_workspace) return list;
  const auto descriptors = std::make_shared<const Descriptors>(lt, *problem);
  const uint64_t left = op.max_workspace - problem->product_bytes;
  const uint64_t workspace = std::min(left > kWorkspaceAlignment ? left - kWorkspaceAlignment : 0, kMostWorkspace);
  const uint32_t element = sdk::dtype_size(op.inputs[0].dtype);
  const auto any = candidates(lt, *descriptors, workspace, element, 1);
  if (any.empty()) return list;
  for (const auto& candidate : candidates(lt, *descriptors, workspace, kAlignment, kMostCandidates)) {
    auto choice = std::make_shared<Choice>();
    choice->problem = *problem;
    choice->descriptors = descriptors;
    choice->best = candidate;
    choice->fallback = any[0];
    choice->name = name_of(*lt.api(), candidate.algo);
    const bool known = std::any_of(list.begin(), list.end(), [&](const LtVariant& v) { return v.name == choice->name; });
    if (known) continue;
    const uint64_t scratch = std::max(candidate.workspaceSize, any[0].workspaceSize);
    const uint64_t needed = problem->product_bytes + (scratch != 0 ? scratch + kWorkspaceAlignment : 0);
    list.push_back({choice->name, needed, problem->notes, problem->product_bytes != 0, choice});
  }
  return list;
}

std::unique_ptr<Step> lt_product(const BlasLt& lt, const LtVariant& variant) {
  return std::make_unique<Product>(lt, std::static_pointer_cast<const Choice>(variant.choice));
}

bp_op lt_epilogue(const bp_op& op, std::vector<bp_tensor_desc>& inputs) {
  const Problem problem = *describe(op);
  inputs.assign(op.inputs + 1, op.inputs + op.num_inputs);  // the product, then the extra inputs
  inputs[0] = op.outputs[0];
  inputs[0].dtype = problem.type == CUDA_R_64F ? uint32_t{BP_F64} : uint32_t{BP_F32};
  if (problem.product_bytes != 0) make_dense(inputs[0]);
  bp_op pointwise = op;
  pointwise.code = BP_OP_POINTWISE;
  pointwise.name = nullptr;
  pointwise.attrs = nullptr;
  pointwise.inputs = inputs.data();
  pointwise.num_inputs = static_cast<uint32_t>(inputs.size());
  return pointwise;
}

}  // namespace backplane::cuda
