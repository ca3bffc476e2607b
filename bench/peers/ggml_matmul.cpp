// SPDX-License-Identifier: Apache-2.0
// ggml's Vulkan backend as a peer library (peer_library.h). Built by bench/peers/build_ggml against a ggml of one's own;
// no part of Backplane's build. Weights are laid out once as ggml wants them, n rows of k elements.
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-vulkan.h>
#include <ggml.h>

#include <memory>
#include <vector>

#include "peer_library.h"

namespace {

ggml_backend_t backend = nullptr;

struct Call {
  ggml_context* context = nullptr;
  ggml_backend_buffer_t buffer = nullptr;
  ggml_cgraph* graph = nullptr;
  ggml_tensor* result = nullptr;
  ~Call() {
    if (buffer != nullptr) ggml_backend_buffer_free(buffer);
    if (context != nullptr) ggml_free(context);
  }
};

void* matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) {
  auto call = std::make_unique<Call>();
  call->context = ggml_init({16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true});
  ggml_tensor* weights = ggml_new_tensor_2d(call->context, GGML_TYPE_F32, k, n);
  ggml_tensor* rows = ggml_new_tensor_2d(call->context, GGML_TYPE_F32, k, m);
  call->result = ggml_mul_mat(call->context, weights, rows);
  if (!ggml_backend_supports_op(backend, call->result)) return nullptr;
  call->graph = ggml_new_graph(call->context);
  ggml_build_forward_expand(call->graph, call->result);
  call->buffer = ggml_backend_alloc_ctx_tensors(call->context, backend);
  if (call->buffer == nullptr) return nullptr;
  std::vector<float> transposed(static_cast<size_t>(n * k));
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < n; ++j) transposed[static_cast<size_t>(j * k + i)] = b[i * n + j];
  }
  ggml_backend_tensor_set(weights, transposed.data(), 0, ggml_nbytes(weights));
  ggml_backend_tensor_set(rows, a, 0, ggml_nbytes(rows));
  return call.release();
}

// ggml's Vulkan backend submits and waits per graph, so a call of one product is complete when it returns.
void enqueue(void* call) { ggml_backend_graph_compute(backend, static_cast<Call*>(call)->graph); }
void finish(void*) { ggml_backend_synchronize(backend); }
void read(void* call, float* c) {
  const ggml_tensor* result = static_cast<Call*>(call)->result;
  ggml_backend_tensor_get(result, c, 0, ggml_nbytes(result));
}
void destroy(void* call) { delete static_cast<Call*>(call); }

}  // namespace

extern "C" __attribute__((visibility("default"))) const backplane_bench_peer* backplane_bench_peer_v1(int device) {
  if (backend == nullptr && device < ggml_backend_vk_get_device_count())
    backend = ggml_backend_vk_init(static_cast<size_t>(device));
  static const backplane_bench_peer peer{sizeof peer, "ggml", "vulkan", matmul, enqueue, finish, read, destroy};
  return backend == nullptr ? nullptr : &peer;
}
