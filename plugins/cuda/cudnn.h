// SPDX-License-Identifier: Apache-2.0
// cuDNN from 9 on (libcudnn.so.9), opened at run time. Its header is not part of the CUDA toolkit, so the functions and
// numbers of its backend interface that are needed stand here; NVIDIA documents them in the cuDNN backend's reference ("cudnn_graph
// library"). Everything in that interface is a descriptor with attributes: made, filled, finalised, and then asked or used.
#pragma once

#include <cuda.h>

#include <mutex>
#include <string>
#include <vector>

#include "backplane/sdk/negotiate.hpp"

namespace backplane::cuda::dnn {

using Handle = void*;         // cudnnHandle_t
using RawDescriptor = void*;  // cudnnBackendDescriptor_t

enum class Kind : int {  // cudnnBackendDescriptorType_t
  convolution = 1, engine = 2, engine_config = 3, heuristic = 4, plan = 5, knob_choice = 7,
  convolution_forward = 10, convolution_grad_filter = 11, convolution_grad_data = 12,
  graph = 15, variant_pack = 16, tensor = 17, device = 38, attention = 41, attention_grad = 43, band_mask = 44,
};
enum class Type : int {  // cudnnBackendAttributeType_t
  handle = 0, data_type = 1, boolean = 2, int64 = 3, float32 = 4, float64 = 5, pointer = 6, convolution_mode = 7,
  heuristic_mode = 8, knob_type = 9, numerical_note = 11, pointwise_mode = 14, descriptor = 15, text = 24,
};
enum class Attribute : int {  // cudnnBackendAttributeName_t
  convolution_compute = 100, convolution_mode = 101, convolution_dilations = 102, convolution_strides = 103,
  convolution_post_paddings = 104, convolution_pre_paddings = 105, convolution_spatial_rank = 106,
  heuristic_mode = 200, heuristic_graph = 201, heuristic_results = 202, heuristic_device = 204,
  config_engine = 300, config_knobs = 302,
  plan_handle = 400, plan_config = 401, plan_workspace = 402, plan_device = 407,
  knob_type = 600, knob_value = 601,
  forward_alpha = 700, forward_beta, forward_convolution, forward_w, forward_x, forward_y,
  data_alpha = 706, data_beta, data_convolution, data_w, data_dx, data_dy,
  filter_alpha = 712, filter_beta, filter_convolution, filter_dw, filter_x, filter_dy,
  graph_handle = 800, graph_operations = 801,
  tensor_alignment = 900, tensor_dtype = 901, tensor_shape = 902, tensor_strides = 903, tensor_uid = 906,
  tensor_is_virtual = 907, tensor_is_by_value = 908,
  pack_uids = 1000, pack_pointers = 1001, pack_workspace = 1003,
  engine_index = 1301, engine_notes = 1303,
  device_json = 2702,
  attention_q = 2800, attention_k, attention_v, attention_o, attention_lse, attention_scale, attention_scores = 2811,
  attention_scores_in, attention_scores_out,
  grad_q = 2851, grad_k, grad_v, grad_o, grad_lse, grad_scale, grad_dq = 2859, grad_dk, grad_dv, grad_do,
  grad_scores = 2867, grad_scores_in, grad_scores_out,
  band_x = 3000, band_shift = 3004, band_fill = 3005, band_y = 3006, band_comparison = 3007,
};
enum class Note : int {  // cudnnBackendNumericalNote_t
  tensor_core = 0, down_converted_inputs = 1, reduced_accumulation = 2, fft = 3, nondeterministic = 4, winograd = 5,
};
inline constexpr int kHeuristicModes[] = {3, 1, 2};  // A, B, fallback: cudnnBackendHeurMode_t
inline constexpr int kCrossCorrelation = 1;          // cudnnConvolutionMode_t
inline constexpr int kAtLeast = 303;                 // CUDNN_POINTWISE_CMP_GE
inline constexpr int kInt32 = 4;                     // cudnnDataType_t, beside data_type()
/// cudnnDataType_t, or -1.
int data_type(uint32_t dtype);

struct Api {
  size_t (*GetVersion)() = nullptr;
  void (*GetLastErrorString)(char* text, size_t bytes) = nullptr;
  int (*Create)(Handle* out) = nullptr;
  int (*Destroy)(Handle handle) = nullptr;
  int (*SetStream)(Handle handle, CUstream stream) = nullptr;
  int (*BackendCreateDescriptor)(int kind, RawDescriptor* out) = nullptr;
  int (*BackendDestroyDescriptor)(RawDescriptor descriptor) = nullptr;
  int (*BackendFinalize)(RawDescriptor descriptor) = nullptr;
  int (*BackendSetAttribute)(RawDescriptor, int attribute, int type, int64_t count, const void* values) = nullptr;
  int (*BackendGetAttribute)(RawDescriptor, int attribute, int type, int64_t asked, int64_t* count, void* values) = nullptr;
  int (*BackendExecute)(Handle handle, RawDescriptor plan, RawDescriptor variant_pack) = nullptr;
};

/// The library, opened once per process: setting `cuda.cudnn`, or libcudnn.so.9. NULL where it is not there, with the reason.
const Api* open(const sdk::Host& host, std::string* problem = nullptr);
/// "cuDNN 9.28.0", or "no cuDNN".
std::string version_text(const Api* api);

/// Throws unless 0, with cuDNN's own words.
void check(const Api& api, int status, const char* what);

class Descriptor {
 public:
  Descriptor(const Api& api, Kind kind);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : api_(other.api_), raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  RawDescriptor raw() const { return raw_; }

  Descriptor& set(Attribute attribute, Type type, const void* values, size_t count = 1);
  Descriptor& set(Attribute attribute, const std::vector<int64_t>& values) {
    return set(attribute, Type::int64, values.data(), values.size());
  }
  Descriptor& set(Attribute attribute, int64_t value) { return set(attribute, Type::int64, &value); }
  Descriptor& set(Attribute attribute, Type type, int value) { return set(attribute, type, &value); }
  Descriptor& set(Attribute attribute, const Descriptor& part) { return set(attribute, Type::descriptor, &part.raw_); }
  Descriptor& finalize(const char* what);

  int64_t get_int(Attribute attribute) const;
  /// Values that are ints in C, however many there are.
  std::vector<int> get_ints(Attribute attribute, Type type) const;
  /// Descriptors of that kind, `most` at most.
  std::vector<Descriptor> get(Attribute attribute, Kind kind, size_t most) const;

 private:
  const Api& api_;
  RawDescriptor raw_ = nullptr;
};

/// What graphs and plans are made for: a device by its handle, or, where there is none, by a description (Kind::device).
struct Target {
  Handle handle = nullptr;
  const Descriptor* description = nullptr;
};

/// One device's handle. It is made when it is first needed: that takes time and memory.
class Session {
 public:
  Session(const sdk::Host& host, const Api* api) : host_(host), api_(api) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Api* api() const { return api_; }
  /// NULL without cuDNN, and where it does not start, which is logged once. The device's context is current.
  Handle handle();
  /// Puts the plan into the stream. [any] thread: a handle has one stream at a time, so threads take turns.
  void execute(CUstream stream, const Descriptor& plan, const Descriptor& variant_pack);

 private:
  const sdk::Host& host_;
  const Api* api_;
  std::mutex mutex_;
  bool asked_ = false;
  Handle handle_ = nullptr;
  CUcontext context_ = nullptr;
};

}  // namespace backplane::cuda::dnn
