// SPDX-License-Identifier: Apache-2.0
#include "lt_problem.h"

#include "backplane/sdk/program.hpp"
#include "epilogue.h"
#include "epilogue_pattern.h"

namespace backplane::cuda {
namespace {

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
std::optional<LtMatrix> matrix(const bp_tensor_desc& desc, uint32_t row) {
  const uint32_t column = 2 * desc.rank - 3 - row;
  const auto step = batch_step(desc);
  if (!step || *step < 0) return std::nullopt;
  const auto dense = [&](uint32_t inner, uint32_t outer) -> std::optional<int64_t> {
    if (desc.shape[inner] != 1 && desc.strides[inner] != 1) return std::nullopt;
    const int64_t leading = desc.shape[outer] == 1 ? desc.shape[inner] : desc.strides[outer];
    return leading >= desc.shape[inner] ? std::optional(leading) : std::nullopt;
  };
  if (const auto leading = dense(row, column)) return LtMatrix{desc.shape[row], desc.shape[column], *leading, *step, false};
  if (const auto leading = dense(column, row)) return LtMatrix{desc.shape[column], desc.shape[row], *leading, *step, true};
  return std::nullopt;
}

std::optional<cudaDataType_t> data_type(uint32_t dtype) {
  switch (dtype) {
    case BP_F32: return CUDA_R_32F;
    case BP_F64: return CUDA_R_64F;
    case BP_F16: return CUDA_R_16F;
    case BP_BF16: return CUDA_R_16BF;
    case BP_F8_E4M3: return CUDA_R_8F_E4M3;
    case BP_F8_E5M2: return CUDA_R_8F_E5M2;
  }
  return std::nullopt;
}

void choose_arithmetic(const bp_op& op, LtProblem& p) {
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

/// The product into `product`, whose dtype is the one that it is rounded to.
std::optional<LtProblem> describe(const bp_op& op, const bp_tensor_desc& product) {
  const bp_tensor_desc &a = op.inputs[0], &b = op.inputs[1];
  const auto type = data_type(a.dtype), result_type = data_type(product.dtype);
  if (!type || !result_type || b.dtype != a.dtype) return std::nullopt;
  LtProblem p;
  p.type = *type, p.result_type = *result_type;
  const uint32_t m_axis = product.rank - 2, n_axis = product.rank - 1;
  for (uint32_t axis = 0; axis < product.rank; ++axis) {
    if (product.shape[axis] == 0 || a.shape[axis] == 0) return std::nullopt;
    if (axis < m_axis) p.batch *= product.shape[axis];
  }
  // A row-major result is the column-major transpose, b^T a^T; a column-major one is a b itself.
  const auto by_columns = matrix(product, m_axis);
  p.left_is_a = by_columns && !by_columns->transposed;
  const auto result = p.left_is_a ? by_columns : matrix(product, n_axis);
  const auto left = p.left_is_a ? matrix(a, m_axis) : matrix(b, n_axis);
  const auto right = p.left_is_a ? matrix(b, m_axis) : matrix(a, n_axis);
  if (!result || result->transposed || !left || !right) return std::nullopt;
  p.result = *result, p.left = *left, p.right = *right;
  // Of 8-bit floats cuBLASLt takes operands that lie dense along k alone (the form "TN" of its table).
  if (sdk::is_f8(a.dtype) && (!p.left.transposed || p.right.transposed)) return std::nullopt;
  choose_arithmetic(op, p);
  return p;
}

cublasLtEpilogue_t epilogue_of(Activation activation, bool bias) {
  switch (activation) {
    case Activation::relu: return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    case Activation::gelu_tanh: return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    case Activation::none: break;
  }
  return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

bool is_one_number(const bp_tensor_desc& desc) {
  bool one = true;
  for (uint32_t axis = 0; axis < desc.rank; ++axis) one = one && (desc.shape[axis] == 1 || desc.strides[axis] == 0);
  return one;
}

/// Makes input `index`, `factor` times, C or the bias.
bool place_addend(const bp_op& op, uint32_t index, double factor, LtProblem& p) {
  const bp_tensor_desc& desc = op.inputs[index];
  if (desc.dtype != op.outputs[0].dtype) return false;
  if (sdk::is_f8(op.inputs[0].dtype) && desc.dtype == BP_F32) return false;  // its bias would have to be bf16
  const uint32_t row = p.left_is_a ? desc.rank - 2 : desc.rank - 1, column = 2 * desc.rank - 3 - row;
  const auto whole = matrix(desc, row);
  if (whole && !whole->transposed && !p.addend) {
    p.addend = index, p.added = *whole, p.beta = factor;
    return true;
  }
  // Step 0, not just extent 1: what is read for other elements must not be the output too.
  const bool along_rows = desc.strides[column] == 0 && (desc.shape[row] == 1 || desc.strides[row] == 1);
  const auto step = batch_step(desc);
  if (!along_rows || factor != 1 || p.bias || !step || *step < 0) return false;
  p.bias = index, p.bias_step = *step;
  return true;
}

}  // namespace

std::optional<LtProblem> lt_product_problem(const bp_op& op) {
  const bp_tensor_desc& y = op.outputs[0];
  const uint32_t operand = op.inputs[0].dtype;
  if (op.program == nullptr) return y.dtype == (sdk::is_f8(operand) ? uint32_t{BP_F32} : operand) ? describe(op, y) : std::nullopt;
  const bp_tensor_desc product = sum_of(op);
  auto problem = describe(op, product);
  if (problem && sum_needs_own_place(op)) {
    const auto elements = static_cast<uint64_t>(problem->batch * problem->result.rows * problem->result.columns);
    problem->product_bytes = (elements * sdk::dtype_size(product.dtype) + 255) / 256 * 256;
  }
  return problem;
}

std::optional<LtProblem> lt_fused_problem(const bp_op& op) {
  const uint32_t a = op.inputs[0].dtype, y = op.outputs[0].dtype;
  const bool narrowed = sdk::is_f8(a) && (y == BP_F16 || y == BP_BF16);
  if (op.program == nullptr || (y != a && y != sum_dtype(a) && !narrowed)) return std::nullopt;
  std::vector<uint32_t> dtypes{sum_dtype(a)};
  for (uint32_t i = 2; i < op.num_inputs; ++i) dtypes.push_back(op.inputs[i].dtype);
  const auto pattern = recognise_epilogue(*op.program, dtypes);
  auto p = pattern ? describe(op, op.outputs[0]) : std::nullopt;
  if (!p) return std::nullopt;
  p->alpha = pattern->alpha;
  if (pattern->scales.size() > 2 || (!pattern->scales.empty() && !sdk::is_f8(a))) return std::nullopt;
  for (const uint32_t value : pattern->scales) {
    if (!is_one_number(op.inputs[value + 1])) return std::nullopt;
    p->scales.push_back(value + 1);
  }
  for (const EpiloguePattern::Addend& each : pattern->addends) {
    if (!place_addend(op, each.input + 1, each.factor, *p)) return std::nullopt;  // value 0 is the product, inputs 0 and 1 a and b
  }
  p->epilogue = epilogue_of(pattern->activation, p->bias.has_value());
  return p;
}

}  // namespace backplane::cuda
