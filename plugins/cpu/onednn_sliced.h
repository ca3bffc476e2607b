// SPDX-License-Identifier: Apache-2.0
// Operations that cut into independent parts, one oneDNN primitive each: softmax, pooling, normalisation.
//
// A family describes its parts as SlicePlans; list_sliced turns every implementation that oneDNN offers for all of them
// into a candidate "onednn@impl=<name>".
#pragma once

#include <functional>

#include "onednn.h"

namespace backplane::cpu {

/// What oneDNN lists for one descriptor.
struct Offer {
  dnnl::primitive_desc_base pd;
  dnnl::memory::desc scratch;
  std::string name;
};
/// All of them, best first; the operation descriptor behind `first` has to be alive.
template <class PrimitiveDesc>
std::vector<Offer> offers_of(const PrimitiveDesc& first) {
  std::vector<Offer> offers;
  for (const PrimitiveDesc& pd : all_implementations(first))
    offers.push_back({pd, pd.scratchpad_desc(), implementation_name(pd.impl_info_str())});
  return offers;
}

struct SlicePlan {
  int64_t extent = 0;  // of the axis that is cut: slices of one extent share their primitive descriptors
  std::vector<StepArgument> arguments;  // without the scratchpad
  std::shared_ptr<FiniteOnly> guard;    // optional
};

struct SlicedOp {
  std::vector<SlicePlan> slices;
  std::function<std::vector<Offer>(int64_t extent)> offer;  // may throw dnnl::error: nothing is offered then
  std::function<void(const Args&)> after;                   // optional: runs when all slices have
  double factor = 1;                                        // of the priors
  uint64_t scratch = 0;                                     // bytes of the workspace that `arguments` speak of
};
void list_sliced(const SlicedOp& op, Candidates& out);

/// [0, count) in one piece for every thread, or in a single one when there are few bytes to move.
std::vector<int64_t> cut(int64_t count, int64_t bytes);

}  // namespace backplane::cpu
