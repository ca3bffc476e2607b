// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's functions that the plugin calls, with loops instead of kernels: what its descriptors say is what is computed, so
// that a mistake in them gives wrong numbers. Two "algorithms", one of which needs workspace and one alignment.
#include <cublasLt.h>

#include <cstring>
#include <map>
#include <vector>

#include "control.h"

struct Matmul {
  cublasComputeType_t compute;
  bool transposed[2] = {false, false};
};
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

static size_t size_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }
static double load(cudaDataType_t type, const void* base, int64_t index) {
  const char* at = static_cast<const char*>(base) + index * static_cast<int64_t>(size_of(type));
  if (type == CUDA_R_64F) return *reinterpret_cast<const double*>(at);
  if (type == CUDA_R_32F) return *reinterpret_cast<const float*>(at);
  if (type == CUDA_R_16F) return static_cast<double>(*reinterpret_cast<const _Float16*>(at));
  uint32_t bits = uint32_t{*reinterpret_cast<const uint16_t*>(at)} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
static void store(cudaDataType_t type, void* base, int64_t index, double value) {
  char* at = static_cast<char*>(base) + index * static_cast<int64_t>(size_of(type));
  if (type == CUDA_R_64F) {
    *reinterpret_cast<double*>(at) = value;
  } else if (type == CUDA_R_32F) {
    *reinterpret_cast<float*>(at) = static_cast<float>(value);
  } else if (type == CUDA_R_16F) {
    *reinterpret_cast<_Float16*>(at) = static_cast<_Float16>(static_cast<float>(value));
  } else {
    const float narrow = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &narrow, 4);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    *reinterpret_cast<uint16_t*>(at) = static_cast<uint16_t>(nan ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
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

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t) {
  *out = reinterpret_cast<cublasLtMatmulDesc_t>(new Matmul{compute});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete &as<Matmul>(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t what, const void* value,
                                              size_t bytes) {
  if (bytes != 4 || (what != CUBLASLT_MATMUL_DESC_TRANSA && what != CUBLASLT_MATMUL_DESC_TRANSB)) return CUBLAS_STATUS_INVALID_VALUE;
  as<Matmul>(d).transposed[what == CUBLASLT_MATMUL_DESC_TRANSB] = *static_cast<const cublasOperation_t*>(value) == CUBLAS_OP_T;
  return CUBLAS_STATUS_SUCCESS;
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
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t p, int most,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  *count = 0;
  for (uint64_t id : {1u, 0u}) {
    if (*count == most) break;
    if (id == 1 && (as<Preference>(p).alignment < 16 || as<Preference>(p).workspace < 4096)) continue;
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

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t al, const void* b, cublasLtMatrixLayout_t bl, const void* beta,
                              const void*, cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t dl,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t bytes, cudaStream_t stream) {
  const Matmul op = as<Matmul>(desc);
  const Layout left = as<Layout>(al), right = as<Layout>(bl), result = as<Layout>(dl);
  const bool wide = op.compute == CUBLAS_COMPUTE_64F;
  if ((wide ? *static_cast<const double*>(alpha) : *static_cast<const float*>(alpha)) != 1) return CUBLAS_STATUS_INVALID_VALUE;
  if ((wide ? *static_cast<const double*>(beta) : *static_cast<const float*>(beta)) != 0) return CUBLAS_STATUS_INVALID_VALUE;
  const uint64_t m = op.transposed[0] ? left.columns : left.rows, k = op.transposed[0] ? left.rows : left.columns;
  const uint64_t n = op.transposed[1] ? right.rows : right.columns, k2 = op.transposed[1] ? right.columns : right.rows;
  if (k != k2 || m != result.rows || n != result.columns || left.batch != result.batch || right.batch != result.batch) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const uint64_t id = algo->data[0];
  const uintptr_t all = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(d);
  if (id == 1 && (all % 16 != 0 || bytes < 4096 || reinterpret_cast<uintptr_t>(workspace) % 256 != 0)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  cuda_emulator_enqueue(stream, [=] {
    if (id == 1) std::memset(workspace, 0xAB, 4096);  // it is ours to use
    for (int64_t batch = 0; batch < result.batch; ++batch) {
      for (uint64_t j = 0; j < n; ++j) {
        for (uint64_t i = 0; i < m; ++i) {
          double sum = 0;
          for (uint64_t p = 0; p < k; ++p) {
            const auto at = [&](const Layout& l, bool transposed, uint64_t row, uint64_t column) {
              if (transposed) std::swap(row, column);
              return batch * l.step + static_cast<int64_t>(column) * l.leading + static_cast<int64_t>(row);
            };
            sum += load(left.type, a, at(left, op.transposed[0], i, p)) * load(right.type, b, at(right, op.transposed[1], p, j));
          }
          store(result.type, d, batch * result.step + static_cast<int64_t>(j) * result.leading + static_cast<int64_t>(i), sum);
        }
      }
    }
    return 0;
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
