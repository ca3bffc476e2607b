// SPDX-License-Identifier: Apache-2.0
#include "families.h"

#include <algorithm>

#include "pointwise.h"

namespace backplane::cpu {
namespace {

constexpr Family kFamilies[] = {
    {BP_OP_POINTWISE, refuse_pointwise, list_pointwise},
    {BP_OP_REDUCE, refuse_reduce, list_reduce},
    {BP_OP_MATMUL, refuse_matmul, list_matmul},
    {BP_OP_GATHER, refuse_gather, list_gather},
    {BP_OP_SCATTER_ADD, refuse_scatter_add, list_scatter_add},
    {BP_OP_CONVOLUTION, refuse_convolution, list_convolution},
    {BP_OP_CONVOLUTION_GRAD_DATA, refuse_convolution, list_convolution},
    {BP_OP_CONVOLUTION_GRAD_FILTER, refuse_convolution, list_convolution},
    {BP_OP_POOL, refuse_pool, list_pool},
    {BP_OP_POOL_GRAD, refuse_pool, list_pool_grad},
    {BP_OP_SOFTMAX, refuse_softmax, list_softmax},
    {BP_OP_SOFTMAX_GRAD, refuse_softmax, list_softmax},
    {BP_OP_LOG_SOFTMAX, refuse_softmax, list_softmax},
    {BP_OP_LOG_SOFTMAX_GRAD, refuse_softmax, list_softmax},
    {BP_OP_NORMALIZE, refuse_normalize, list_normalize},
    {BP_OP_NORMALIZE_GRAD, refuse_normalize_grad, list_normalize_grad},
    {BP_OP_RANDOM, refuse_random, list_random},
    {BP_OP_SORT, refuse_sort, list_sort},
    {BP_OP_TOP_K, refuse_sort, list_sort},
};

}  // namespace

const Family* find_family(uint32_t code) {
  for (const Family& family : kFamilies) {
    if (family.code == code) return &family;
  }
  return nullptr;
}

Candidates candidates_for(const Op& op) {
  Candidates all, fit;
  find_family(op.code)->list(op, all);
  for (Candidate& candidate : all) {
    if (candidate.workspace <= op.max_workspace) fit.push_back(std::move(candidate));
  }
  if (fit.empty()) return fit;
  // Best guess first: it is the default. Priors are then relative to it.
  std::stable_sort(fit.begin(), fit.end(), [](const Candidate& a, const Candidate& b) { return a.prior < b.prior; });
  const double best = fit.front().prior;
  for (Candidate& candidate : fit) candidate.prior /= best;
  return fit;
}

}  // namespace backplane::cpu
