// SPDX-License-Identifier: Apache-2.0
// The families of operations of this card, one pair of functions each; families.cpp holds the table.
#pragma once

#include "work.h"

namespace backplane::cpu {

#define BP_FAMILY(name)                 \
  std::string refuse_##name(const Op& op); \
  void list_##name(const Op& op, Candidates& out);

BP_FAMILY(reduce)
BP_FAMILY(matmul)
BP_FAMILY(gather)
BP_FAMILY(scatter_add)
BP_FAMILY(convolution)
BP_FAMILY(pool)
BP_FAMILY(softmax)
BP_FAMILY(normalize)
BP_FAMILY(normalize_grad)
BP_FAMILY(attention)
BP_FAMILY(random)
BP_FAMILY(sort)

void list_pool_grad(const Op& op, Candidates& out);

#undef BP_FAMILY

}  // namespace backplane::cpu
