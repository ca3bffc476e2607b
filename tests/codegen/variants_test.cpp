// SPDX-License-Identifier: Apache-2.0
// Every variant of matmul, convolution and the operations on rows, for devices of each kind, as text that its dialect's
// own compiler takes: also those that no machine here can run (GPUs with subgroups or cooperative matrices). GLSL by
// glslc and spirv-val, OpenCL C by the first OpenCL device there is, CUDA C++ by NVRTC.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <set>

#include "backplane/codegen/codegen.h"
#include "compilers.h"

namespace codegen_test {
namespace {

using namespace backplane::codegen;

bp_tensor_desc dense(uint32_t dtype, std::initializer_list<int64_t> shape) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  for (const int64_t extent : shape) desc.shape[desc.rank++] = extent;
  int64_t stride = 1;
  for (uint32_t axis = desc.rank; axis-- > 0; stride *= desc.shape[axis]) desc.strides[axis] = stride;
  return desc;
}

using Descs = std::vector<bp_tensor_desc>;

struct Operation {
  Descs inputs, outputs;
  bp_convolution_attrs attrs{};
  bp_axis_attrs axis{sizeof(bp_axis_attrs), 1};
  bp_normalize_attrs normalize{sizeof(bp_normalize_attrs), BP_NORMALIZE_MEAN_VARIANCE, 2, 0, 1e-5};
  bp_attention_attrs attention{};
  bp_sort_attrs sort{};
  bp_op op{};
  Operation(uint32_t code, Descs in, Descs out) : inputs(std::move(in)), outputs(std::move(out)) {
    op.size = sizeof(op);
    op.code = code;
    op.inputs = inputs.data(), op.num_inputs = static_cast<uint32_t>(inputs.size());
    op.outputs = outputs.data(), op.num_outputs = static_cast<uint32_t>(outputs.size());
    op.max_workspace = UINT64_MAX;
    attention.size = sizeof(attention), attention.scale = 0.125, attention.causal = 1;
    sort.size = sizeof(sort), sort.axis = 1;
  }
};

void add_rows(std::list<Operation>& all) {
  const auto x = [](int64_t rows, int64_t n) { return dense(BP_F32, {rows, n}); };
  for (const int64_t n : {48, 5000}) {
    for (const uint32_t code : {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX})
      all.emplace_back(code, Descs{x(3000, n)}, Descs{x(3000, n)});
    for (const uint32_t code : {BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD}) {
      all.emplace_back(code, Descs(2, x(3000, n)), Descs{x(3000, n)});
    }
  }
  for (auto op = all.begin(); op != all.end(); ++op) {
    if (op->op.code >= BP_OP_SOFTMAX && op->op.code <= BP_OP_LOG_SOFTMAX_GRAD) op->op.attrs = &op->axis;
  }
  const auto normalize = [&](uint32_t code, Descs in, Descs out) {
    all.emplace_back(code, std::move(in), std::move(out));
    all.back().op.attrs = &all.back().normalize;
  };
  for (const int64_t n : {48, 5000}) {
    bp_tensor_desc shared = x(3000, n), group = x(3000, n);
    shared.strides[0] = 0, group.strides[0] = 1, group.strides[1] = 0;
    normalize(BP_OP_NORMALIZE, {x(3000, n), shared, shared}, {x(3000, n), x(3000, 1), x(3000, 1)});
    normalize(BP_OP_NORMALIZE_GRAD, {x(3000, n), x(3000, n), x(3000, 1), x(3000, 1), shared},
              {x(3000, n), x(1, n), x(1, n)});
    normalize(BP_OP_NORMALIZE_GRAD, {x(3000, n), x(3000, n), x(3000, 1), x(3000, 1), group},
              {x(3000, n), x(3000, 1), x(3000, 1)});
  }
  const bp_tensor_desc heads = dense(BP_F32, {2, 4, 100, 64}), lse = dense(BP_F32, {2, 4, 100});
  all.emplace_back(BP_OP_ATTENTION, Descs(3, heads), Descs{heads, lse});
  all.emplace_back(BP_OP_ATTENTION_GRAD, Descs{heads, heads, heads, heads, heads, lse}, Descs(3, heads));
  for (auto op = std::prev(all.end(), 2); op != all.end(); ++op) op->op.attrs = &op->attention;
  for (const uint32_t dtype : {BP_F32, BP_F64}) {
    const bp_tensor_desc row = dense(dtype, {3, 5000}), best = dense(dtype, {3, 4});
    all.emplace_back(BP_OP_SORT, Descs{row}, Descs{row, dense(BP_I32, {3, 5000})});
    all.emplace_back(BP_OP_TOP_K, Descs{row}, Descs{best, dense(BP_I32, {3, 4})});
    for (auto op = std::prev(all.end(), 2); op != all.end(); ++op) op->op.attrs = &op->sort;
  }
}

/// Operations that between them list every variant there is.
std::list<Operation> operations() {
  std::list<Operation> all;
  const auto matmul = [&](uint32_t dtype, int64_t batch, int64_t m, int64_t n, int64_t k) {
    all.emplace_back(BP_OP_MATMUL, Descs{dense(dtype, {batch, m, k}), dense(dtype, {batch, k, n})},
                     Descs{dense(dtype, {batch, m, n})});
  };
  for (const uint32_t dtype : {BP_F32, BP_F16, BP_BF16}) matmul(dtype, 1, 600, 600, 700);
  matmul(BP_F32, 1, 2, 600, 700);
  matmul(BP_F32, 300, 5, 6, 7);
  matmul(BP_F32, 1, 600, 600, 700), all.back().op.math_mode = BP_MATH_FAST;
  matmul(BP_F32, 1, 600, 1, 700);
  const auto convolution = [&](uint32_t dtype, int64_t channels, int64_t filters, uint32_t groups) {
    const bp_tensor_desc x = dense(dtype, {2, channels, 20, 21}), w = dense(dtype, {filters, channels / groups, 3, 3}),
                         y = dense(dtype, {2, filters, 20, 21});
    all.emplace_back(BP_OP_CONVOLUTION, Descs{x, w}, Descs{y});
    all.emplace_back(BP_OP_CONVOLUTION_GRAD_DATA, Descs{y, w}, Descs{x});
    all.emplace_back(BP_OP_CONVOLUTION_GRAD_FILTER, Descs{x, y}, Descs{w});
    for (auto op = std::prev(all.end(), 3); op != all.end(); ++op) {
      op->attrs.size = sizeof(op->attrs), op->attrs.spatial_rank = 2, op->attrs.groups = groups;
      for (int i = 0; i < 3; ++i)
        op->attrs.stride[i] = op->attrs.dilation[i] = 1, op->attrs.pad_low[i] = op->attrs.pad_high[i] = i < 2;
      op->op.attrs = &op->attrs;
    }
  };
  convolution(BP_F32, 32, 48, 1);
  convolution(BP_F16, 32, 48, 1);
  convolution(BP_F32, 8, 16, 8);
  add_rows(all);
  return all;
}

DeviceFacts facts_of(Dialect dialect, bool cpu_like) {
  DeviceFacts facts;
  facts.dialect = dialect;
  facts.cpu_like = cpu_like;
  facts.f16_storage = facts.bf16_storage = facts.bool_storage = facts.f64 = facts.i64 = true;
  facts.max_group_size = 1024;
  for (uint32_t& extent : facts.max_group_extent) extent = 1024;
  facts.local_bytes = 32768;
  facts.vector_width = cpu_like ? 16 : 4;
  facts.max_buffers = 16;
  if (dialect != Dialect::opencl_c) {
    facts.subgroup_size = cpu_like ? 8 : 32;
    facts.subgroup_arithmetic = facts.subgroup_shuffle = true;
    if (!cpu_like) facts.cooperative.push_back({16, 16, 16, BP_F16});
  }
  if (dialect == Dialect::cuda) facts.cooperative.push_back({16, 16, 16, BP_BF16});
  return facts;
}

/// The launches of every variant; those of one operation that differ in numbers only stand for one another.
struct Text {
  std::string name, source;
};
std::vector<Text> texts(const DeviceFacts& facts) {
  std::vector<Text> all;
  std::set<std::string> seen;
  const std::list<Operation> all_operations = operations();
  for (const Operation& operation : all_operations) {
    if (const std::string reason = refuse(operation.op, facts); !reason.empty()) {
      ADD_FAILURE() << operation.op.code << ": " << reason;
      continue;
    }
    for (const Variant& variant : list_variants(operation.op, facts)) {
      for (const Launch& launch : variant.build().launches) {
        std::string kind = variant.name + launch.name;
        std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
        if (!seen.insert(kind + std::to_string(operation.op.code) + std::to_string(operation.inputs[0].dtype)).second)
          continue;
        for (const std::string* source : {&launch.source, &launch.aligned_source}) {
          if (!source->empty()) all.push_back({variant.name + ": " + launch.name, *source});
        }
      }
    }
  }
  return all;
}

bool has(const std::vector<Text>& all, const std::string& prefix) {
  return std::any_of(all.begin(), all.end(), [&](const Text& t) { return t.name.rfind(prefix, 0) == 0; });
}

void expect_accepted(const std::vector<Text>& all, Compiler& compiler) {
  if (const std::string reason = compiler.unavailable(); !reason.empty()) GTEST_SKIP() << reason;
  for (const Text& text : all) ASSERT_EQ(compiler.errors_in(text.source), "") << text.name;
}

void expect_glsl_accepted(bool cpu_like) {
  const std::vector<Text> all = texts(facts_of(Dialect::glsl, cpu_like));
  EXPECT_TRUE(has(all, "winograd@m=4")) << "the list does not reach what it is for";
  EXPECT_EQ(has(all, "cooperative@f16"), !cpu_like);
  EXPECT_TRUE(has(all, "tiles@keys") && has(all, "groups@run") && has(all, "group_per_subgroup@held"));
  expect_accepted(all, *glsl_compiler());
}
TEST(Variants, GlslForGpusCompiles) { expect_glsl_accepted(false); }
TEST(Variants, GlslForCpuCoresCompiles) { expect_glsl_accepted(true); }

TEST(Variants, OpenClForGpusCompiles) {
  expect_accepted(texts(facts_of(Dialect::opencl_c, false)), *opencl_compiler());
}
TEST(Variants, OpenClForCpuCoresCompiles) {
  expect_accepted(texts(facts_of(Dialect::opencl_c, true)), *opencl_compiler());
}

void expect_cuda_accepted(const std::string& architecture) {
  const std::vector<Text> all = texts(facts_of(Dialect::cuda, false));
  EXPECT_TRUE(has(all, "cooperative@f16"));
  EXPECT_TRUE(has(all, "cooperative@bf16"));
  expect_accepted(all, *cuda_compiler(architecture));
}
TEST(Variants, CudaCompilesForSm80) { expect_cuda_accepted("sm_80"); }
TEST(Variants, CudaCompilesForSm90) { expect_cuda_accepted("sm_90"); }

}  // namespace
}  // namespace codegen_test
