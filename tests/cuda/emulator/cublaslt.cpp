// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's functions that the plugin calls, with loops instead of kernels: what its descriptors say is what is computed, so
// that a mistake in them gives wrong numbers. Two "algorithms", one of which needs workspace and alignment.
#include <cublasLt.h>

#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "control.h"
#include "elements.h"

struct Matmul {
  cublasComputeType_t compute;
  bool transposed[2] = {false, false};
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int64_t bias_step = 0;
  const float* scales[2] = {nullptr, nullptr};

  bool has(cublasLtEpilogue_t part) const { return (epilogue & part) != 0; }
  /// What the library says to doubles with an epilogue, and to a bias that is nowhere.
  bool supported() const {
    if (compute == CUBLAS_COMPUTE_64F && epilogue != CUBLASLT_EPILOGUE_DEFAULT) return false;
    return !has(CUBLASLT_EPILOGUE_BIAS) || bias != nullptr;
  }
};
static_assert(sizeof(Matmul) <= sizeof(cublasLtMatmulDescOpaque_t));
struct Layout {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t leading;
  int32_t batch = 1;
  int64_t step = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment = 256;
};

template <class T, class Handle>
static T& as(Handle handle) {
  return *reinterpret_cast<T*>(const_cast<void*>(static_cast<const void*>(handle)));
}

static emulator::Element element(cudaDataType_t type) {
  using emulator::Element;
  switch (type) {
    case CUDA_R_64F: return Element::f64;
    case CUDA_R_32F: return Element::f32;
    case CUDA_R_16F: return Element::f16;
    case CUDA_R_8F_E4M3: return Element::e4m3;
    case CUDA_R_8F_E5M2: return Element::e5m2;
    default: return Element::bf16;
  }
}
static double load(cudaDataType_t type, const void* base, int64_t index) { return emulator::load(element(type), base, index); }
static void store(cudaDataType_t type, void* base, int64_t index, double value) {
  emulator::store(element(type), base, index, value);
}

static bool is_f8(cudaDataType_t type) { return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2; }
/// The library's table for 8-bit floats: both operands dense along k, extents of multiples of 16, not both of 5 exponent bits.
static bool supported(const Matmul& op, const Layout& left, const Layout& right) {
  if (!is_f8(left.type)) return op.scales[0] == nullptr && op.scales[1] == nullptr;
  const bool extents = left.rows % 16 == 0 && left.columns % 16 == 0 && left.leading % 16 == 0 && right.leading % 16 == 0;
  return op.transposed[0] && !op.transposed[1] && extents && (left.type != CUDA_R_8F_E5M2 || right.type != CUDA_R_8F_E5M2);
}

/// NaN stays NaN, which of the library is not proven (docs/cuda.md).
static double activate(const Matmul& op, double x) {
  if (op.has(CUBLASLT_EPILOGUE_RELU)) return x < 0 ? 0 : x;
  if (op.has(CUBLASLT_EPILOGUE_GELU)) return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return x;
}

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int(0));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return 130000; }

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t d, size_t bytes, cublasComputeType_t compute,
                                               cudaDataType_t) {
  if (bytes != sizeof(cublasLtMatmulDescOpaque_t)) return CUBLAS_STATUS_INVALID_VALUE;
  new (d) Matmul{compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t what, const void* value,
                                              size_t bytes) {
  Matmul& op = as<Matmul>(d);
  const auto take = [&](auto& into) {
    if (bytes != sizeof(into)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&into, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  cublasOperation_t turn = CUBLAS_OP_N;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA: status = take(turn), op.transposed[0] = turn == CUBLAS_OP_T; break;
    case CUBLASLT_MATMUL_DESC_TRANSB: status = take(turn), op.transposed[1] = turn == CUBLAS_OP_T; break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: status = take(op.epilogue); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: status = take(op.bias); break;
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: status = take(op.bias_step); break;
    case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER: status = take(op.scales[0]); break;
    case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER: status = take(op.scales[1]); break;
    default: break;
  }
  return status;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType_t type, uint64_t rows, uint64_t columns,
                                          int64_t leading) {
  if (leading < static_cast<int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *out = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, leading});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete &as<Layout>(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t what,
                                                const void* value, size_t bytes) {
  if (what == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == 4) std::memcpy(&as<Layout>(l).batch, value, 4);
  else if (what == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == 8) std::memcpy(&as<Layout>(l).step, value, 8);
  else return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  *out = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete &as<Preference>(p);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t what,
                                                    const void* value, size_t bytes) {
  if (what == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == 8) std::memcpy(&as<Preference>(p).workspace, value, 8);
  else if (bytes == 4) std::memcpy(&as<Preference>(p).alignment, value, 4);
  else return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

/// Algorithm 0 takes anything; 1 wants 16 bytes of alignment and 4096 of workspace.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t left,
                                              cublasLtMatrixLayout_t right, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t p, int most,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  *count = 0;
  if (!as<Matmul>(d).supported() || !supported(as<Matmul>(d), as<Layout>(left), as<Layout>(right))) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (is_f8(as<Layout>(left).type) && as<Preference>(p).alignment < 16) return CUBLAS_STATUS_NOT_SUPPORTED;
  const bool near = reinterpret_cast<uintptr_t>(as<Matmul>(d).bias) % 16 != 0;
  for (uint64_t id : {1u, 0u}) {
    if (*count == most) break;
    if (id == 1 && (near || as<Preference>(p).alignment < 16 || as<Preference>(p).workspace < 4096)) continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*count)++];
    std::memset(&result, 0, sizeof(result));
    result.algo.data[0] = id;
    result.workspaceSize = 4096 * id;
    result.state = CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t what, void* value, size_t bytes,
                                                    size_t* written) {
  std::memset(value, 0, bytes);
  if (what == CUBLASLT_ALGO_CONFIG_ID) std::memcpy(value, &algo->data[0], 4);
  *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha_at, const void* a,
                              cublasLtMatrixLayout_t al, const void* b, cublasLtMatrixLayout_t bl, const void* beta_at,
                              const void* c, cublasLtMatrixLayout_t cl, void* d, cublasLtMatrixLayout_t dl,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t bytes, cudaStream_t stream) {
  const Matmul op = as<Matmul>(desc);
  const Layout left = as<Layout>(al), right = as<Layout>(bl), added = as<Layout>(cl), result = as<Layout>(dl);
  const bool wide = op.compute == CUBLAS_COMPUTE_64F;
  const auto scalar = [wide](const void* at) {
    return wide ? *static_cast<const double*>(at) : static_cast<double>(*static_cast<const float*>(at));
  };
  const double alpha = scalar(alpha_at), beta = scalar(beta_at);
  const uint64_t m = op.transposed[0] ? left.columns : left.rows, k = op.transposed[0] ? left.rows : left.columns;
  const uint64_t n = op.transposed[1] ? right.rows : right.columns, k2 = op.transposed[1] ? right.columns : right.rows;
  if (k != k2 || m != result.rows || n != result.columns || left.batch != result.batch || right.batch != result.batch) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (added.rows != m || added.columns != n || added.batch != result.batch || added.type != result.type) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!op.supported() || !supported(op, left, right) || (c == d && cl != dl)) return CUBLAS_STATUS_INVALID_VALUE;
  const uint64_t id = algo->data[0];
  const uintptr_t all = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c) |
                        reinterpret_cast<uintptr_t>(d) | reinterpret_cast<uintptr_t>(op.bias);
  if (is_f8(left.type) && all % 16 != 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (id == 1 && (all % 16 != 0 || bytes < 4096 || reinterpret_cast<uintptr_t>(workspace) % 256 != 0)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  cuda_emulator_enqueue(stream, [=] {
    if (id == 1) std::memset(workspace, 0xAB, 4096);  // it is ours to use
    for (int64_t batch = 0; batch < result.batch; ++batch) {
      for (uint64_t j = 0; j < n; ++j) {
        for (uint64_t i = 0; i < m; ++i) {
          const auto at = [&](const Layout& l, bool transposed, uint64_t row, uint64_t column) {
            if (transposed) std::swap(row, column);
            return batch * l.step + static_cast<int64_t>(column) * l.leading + static_cast<int64_t>(row);
          };
          double sum = 0;
          for (uint64_t p = 0; p < k; ++p) {
            sum += load(left.type, a, at(left, op.transposed[0], i, p)) * load(right.type, b, at(right, op.transposed[1], p, j));
          }
          sum *= alpha;
          for (const float* scale : op.scales) sum *= scale != nullptr ? static_cast<double>(*scale) : 1;
          if (beta != 0) sum += beta * load(added.type, c, at(added, false, i, j));
          if (op.has(CUBLASLT_EPILOGUE_BIAS)) sum += load(result.type, op.bias, batch * op.bias_step + static_cast<int64_t>(i));
          store(result.type, d, at(result, false, i, j), activate(op, sum));
        }
      }
    }
    return 0;
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
