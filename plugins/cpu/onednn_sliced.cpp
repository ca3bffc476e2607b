// SPDX-License-Identifier: Apache-2.0
#include "onednn_sliced.h"

#include <algorithm>

#include "threads.h"

namespace backplane::cpu {
namespace {

ScratchPlan plan_scratch(const SlicedOp& op, const std::vector<Offer>& chosen, std::vector<Place>& pads) {
  ScratchPlan scratch(round_up(op.scratch));
  for (const Offer& offer : chosen) pads.push_back(scratch.take(offer.scratch.get_size()));
  return scratch;
}

WorkPtr build(const SlicedOp& op, const std::vector<Offer>& chosen) {
  const OneThread guard;
  std::vector<Place> pads;
  const ScratchPlan scratch = plan_scratch(op, chosen, pads);
  std::vector<PrimitiveSlice> all;
  PrimitiveWork::Options options;
  for (size_t i = 0; i < op.slices.size(); ++i) {
    PrimitiveStep step{dnnl::primitive(chosen[i].pd.get()), op.slices[i].arguments};
    step.arguments.push_back({DNNL_ARG_SCRATCHPAD, chosen[i].scratch, pads[i]});
    all.push_back({std::move(step)});
    if (op.slices[i].guard != nullptr) options.guards.push_back(op.slices[i].guard);
  }
  options.after = op.after;
  return std::make_shared<PrimitiveWork>(std::move(all), scratch.size(), std::move(options));
}

}  // namespace

void list_sliced(const SlicedOp& op, Candidates& out) {
  const OneThread guard;
  std::vector<std::vector<Offer>> offers;  // by slice
  try {
    for (size_t i = 0; i < op.slices.size(); ++i) {
      size_t same = 0;
      while (same < i && op.slices[same].extent != op.slices[i].extent) ++same;
      offers.push_back(same < i ? offers[same] : op.offer(op.slices[i].extent));
    }
  } catch (const dnnl::error&) {  // not offered for these shapes
    return;
  }
  for (size_t rank = 0; rank < offers[0].size(); ++rank) {
    const std::string& name = offers[0][rank].name;
    std::vector<Offer> chosen;
    for (const auto& all : offers) {
      const auto at = std::find_if(all.begin(), all.end(), [&](const Offer& o) { return o.name == name; });
      if (at != all.end()) chosen.push_back(*at);
    }
    if (chosen.size() != offers.size()) continue;
    Candidate c;
    c.name = "onednn@impl=" + name;
    if (std::any_of(out.begin(), out.end(), [&](const Candidate& o) { return o.name == c.name; })) continue;
    std::vector<Place> pads;
    c.workspace = plan_scratch(op, chosen, pads).size();
    c.prior = implementation_prior(name, rank) * op.factor;
    c.build = [op, chosen] { return build(op, chosen); };
    out.push_back(std::move(c));
  }
}

std::vector<int64_t> cut(int64_t count, int64_t bytes) {
  const int64_t parts = bytes < kParallelBytes ? 1 : std::max<int64_t>(1, std::min<int64_t>(count, thread_count()));
  std::vector<int64_t> bounds;
  for (int64_t i = 0; i <= parts; ++i) bounds.push_back(count * i / parts);
  return bounds;
}

}  // namespace backplane::cpu
