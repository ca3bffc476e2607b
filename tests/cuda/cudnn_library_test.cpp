// SPDX-License-Identifier: Apache-2.0
// The numbers in the plugin's cudnn.h and what is done with them, against NVIDIA's library: it builds operation graphs, names
// engines for them and finalises plans without a GPU, for one that is described to it. Its parts want a libcuda.so.1
// that loads: the toolkit's stub under that name will do (docs/cuda.md). Skipped, with the reason, where there is no cuDNN,
// or one that wants more said about a GPU than is said here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <regex>
#include <set>

#include "cudnn_engines.h"

namespace {

namespace dnn = backplane::cuda::dnn;
namespace sdk = backplane::sdk;

constexpr int kPartsDoNotLoad = 1008;  // CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED

bp_status library_by_environment(void*, const char* key, char* value, uint64_t capacity, uint64_t* length) {
  const char* path = std::getenv("BACKPLANE_CUDA_CUDNN");
  if (std::string(key) != "cuda.cudnn" || path == nullptr) return BP_E_NOT_FOUND;
  *length = std::strlen(path);
  if (capacity <= *length) return BP_INCOMPLETE;
  std::memcpy(value, path, *length + 1);
  return BP_OK;
}

/// What cuDNN asks about a GPU; cudaDeviceProp's values for an H200.
constexpr const char* kH200 = R"({"deviceName": "NVIDIA H200", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0,
  "pciDeviceId": 0, "totalGlobalMem": 150000000000, "multiProcessorCount": 132, "warpSize": 32, "maxThreadsPerBlock": 1024,
  "maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "maxRegistersPerSM": 65536, "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "oversizedSharedMemoryPerBlock": 0, "reservedSharedMemoryPerBlock": 1024, "isTccDriver": 0, "supportCoopLaunch": 1,
  "smClockRateKHz": 1980000, "memClockRateKHz": 3201000, "memoryBusWidth": 6144, "l2CacheSize": 62914560})";

class CudnnLibrary : public testing::Test {
 protected:
  void SetUp() override {
    bp_host table{};
    table.size = sizeof(table), table.abi_version = BP_ABI_VERSION;
    table.config = library_by_environment;
    std::string problem;
    api = dnn::open(sdk::Host(&table), &problem);
    if (api == nullptr) GTEST_SKIP() << problem;
    try {
      dnn::Descriptor(*api, dnn::Kind::heuristic).finalize("an empty descriptor");
    } catch (const sdk::Failure& failure) {
      if (failure.native_code == kPartsDoNotLoad) GTEST_SKIP() << failure.what() << "; is there a libcuda.so.1?";
    }
    std::printf("%s\n", dnn::version_text(api).c_str());
    h200.emplace(*api, dnn::Kind::device);
    try {
      h200->set(dnn::Attribute::device_json, dnn::Type::text, kH200, std::strlen(kH200)).finalize("a description of a GPU");
    } catch (const sdk::Failure& failure) {
      GTEST_SKIP() << failure.what();
    }
    target.description = &*h200;
  }

  /// 64 channels to 32, 3 taps along each of `rank` axes of 16, channels first or last.
  void expect_engines(uint32_t code, uint32_t dtype, uint32_t rank, bool last) {
    bp_convolution_attrs attrs{};
    attrs.size = sizeof(attrs), attrs.spatial_rank = rank, attrs.groups = 1;
    std::vector<int64_t> x{8, 64}, w{32, 64}, y{8, 32};
    for (uint32_t axis = 0; axis < rank; ++axis) {
      attrs.stride[axis] = attrs.dilation[axis] = attrs.pad_low[axis] = attrs.pad_high[axis] = 1;
      x.push_back(16), w.push_back(3), y.push_back(16);
    }
    const auto desc = [&](const std::vector<int64_t>& shape) {
      bp_tensor_desc made{dtype, static_cast<uint32_t>(shape.size()), {}, {}};
      std::copy(shape.begin(), shape.end(), made.shape);
      int64_t step = last ? shape[1] : 1;
      for (size_t axis = shape.size(); axis-- > 0;) {
        if (axis == 1 && last) continue;
        made.strides[axis] = step, step *= shape[axis];
      }
      if (last) made.strides[1] = 1;
      return made;
    };
    const bool data = code == BP_OP_CONVOLUTION_GRAD_DATA, filter = code == BP_OP_CONVOLUTION_GRAD_FILTER;
    const bp_tensor_desc inputs[] = {desc(data ? y : x), desc(filter ? y : w)}, output = desc(data ? x : filter ? w : y);
    bp_op op{};
    op.size = sizeof(op), op.code = code, op.attrs = &attrs;
    op.inputs = inputs, op.num_inputs = 2, op.outputs = &output, op.num_outputs = 1;
    const std::string what = "code " + std::to_string(code) + ", dtype " + std::to_string(dtype) + ", rank " +
                             std::to_string(rank) + (last ? ", channels last" : "");
    expect_a_plan(op, named(op, what), what);
  }
  /// What the heuristics name, each well and once.
  std::vector<dnn::Configuration> named(const bp_op& op, const std::string& what) {
    EXPECT_EQ(dnn::refuse(op), "") << what;
    const dnn::Graph graph = dnn::make_graph(*api, target, op);
    std::vector<dnn::Configuration> all = dnn::configurations(*api, target, graph);
    std::printf("%s: %zu configurations%s%s\n", what.c_str(), all.size(), all.empty() ? "" : ", first ",
                all.empty() ? "" : all[0].name.c_str());
    std::set<std::string> names;
    static const std::regex kName("cudnn@eng=[0-9]+(,k[0-9]+=-?[0-9]+)*(,knobs=[0-9a-f]{32})?");
    for (const dnn::Configuration& each : all) {
      EXPECT_TRUE(std::regex_match(each.name, kName)) << each.name;
      EXPECT_TRUE(names.insert(each.name).second) << each.name << " twice";
    }
    EXPECT_FALSE(all.empty()) << what;
    return all;
  }
  /// Of the first few that the operation allows, one at least is no empty promise.
  void expect_a_plan(const bp_op& op, const std::vector<dnn::Configuration>& all, const std::string& what) {
    int tried = 0, made = 0;
    for (const dnn::Configuration& each : all) {
      if (tried == 4 || !dnn::allows(op, each.notes)) continue;
      ++tried;
      try {
        EXPECT_GE(dnn::make_plan(*api, target, each).get_int(dnn::Attribute::plan_workspace), 0);
        ++made;
      } catch (const sdk::Failure& failure) {
        EXPECT_EQ(failure.code, BP_E_UNSUPPORTED) << each.name << ": " << failure.what();
      }
    }
    std::printf("  %d plans of %d\n", made, tried);
    EXPECT_GT(made, 0) << what;
  }
  const dnn::Api* api = nullptr;
  std::optional<dnn::Descriptor> h200;
  dnn::Target target;
};

TEST_F(CudnnLibrary, NamesEnginesForConvolutions) {
  for (const uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
    for (const uint32_t rank : {1u, 2u, 3u}) {
      expect_engines(code, BP_F32, rank, false);
      expect_engines(code, BP_BF16, rank, true);
    }
    expect_engines(code, BP_F64, 2, false);
    expect_engines(code, BP_F16, 2, true);
  }
}

/// Up to here: plans of attention are finalised with the driver's help, which a stub does not give.
TEST_F(CudnnLibrary, NamesEnginesForAttention) {
  const auto dense = [](uint32_t dtype, std::vector<int64_t> shape) {
    bp_tensor_desc made{dtype, static_cast<uint32_t>(shape.size()), {}, {}};
    std::copy(shape.begin(), shape.end(), made.shape);
    int64_t step = 1;
    for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) made.strides[axis] = step;
    return made;
  };
  for (const uint32_t dtype : {BP_F16, BP_BF16}) {
    for (const int64_t width : {64, 128}) {
      const bp_tensor_desc x = dense(dtype, {2, 8, 1024, width}), lse = dense(BP_F32, {2, 8, 1024});
      const bp_tensor_desc few[] = {x, x, x}, all[] = {x, x, x, x, x, lse}, out[] = {x, lse};
      for (const uint32_t causal : {0u, 1u}) {
        const bp_attention_attrs attrs{sizeof(attrs), causal, 0.125};
        bp_op op{};
        op.size = sizeof(op), op.attrs = &attrs;
        const std::string what = "dtype " + std::to_string(dtype) + ", width " + std::to_string(width) + (causal ? ", causal" : "");
        op.code = BP_OP_ATTENTION, op.inputs = few, op.num_inputs = 3, op.outputs = out, op.num_outputs = 2;
        if (api->GetVersion() < 92100) {
          EXPECT_THROW(dnn::make_graph(*api, target, op), sdk::Failure);
          continue;
        }
        named(op, "attention, " + what);
        op.num_outputs = 1;
        named(op, "attention without logarithms, " + what);
        op.code = BP_OP_ATTENTION_GRAD, op.inputs = all, op.num_inputs = 6, op.outputs = few, op.num_outputs = 3;
        named(op, "gradient, " + what);
      }
    }
  }
}

TEST_F(CudnnLibrary, SaysWhatItDoesNotTake) {
  dnn::Descriptor tensor(*api, dnn::Kind::tensor);
  tensor.set(dnn::Attribute::tensor_uid, 1);
  try {
    tensor.finalize("half a tensor");
    FAIL() << "a tensor without a shape was taken";
  } catch (const sdk::Failure& failure) {
    EXPECT_NE(failure.native_code, 0);
    EXPECT_NE(std::string(failure.what()).find("half a tensor failed with status"), std::string::npos) << failure.what();
  }
}

}  // namespace
