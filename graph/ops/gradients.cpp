// SPDX-License-Identifier: Apache-2.0
// The deferred op behind symbolic gradients: a request that is expanded once all shapes are known, so that VJPs only
// ever see concrete extents.
#include "backplane/graph/ops.h"

namespace backplane::graph::op {

const OpDef gradients = {
    .name = "gradients",
    .doc = "d(sum_i sum(dy_i * y_i)) / dx_j for operands (y_1 ..., x_1 ..., dy_1 ...); without dy each y is a scalar.",
    .min_inputs = 2,
    .max_inputs = -1,
    .outputs = -1,  // one for each x
    .attrs = {{"ys", AttrKind::integer, int64_t{1}, "how many of the operands are y"},
              {"xs", AttrKind::integer, int64_t{1}, "how many are x"}},
    .tier = Tier::deferred,
    .infer =
        [](const InferArgs& args) {
          const auto ys = static_cast<size_t>(args.attrs.i64("ys"));
          const auto xs = static_cast<size_t>(args.attrs.i64("xs"));
          if (args.in.size() != ys + xs && args.in.size() != 2 * ys + xs) {
            args.fail("needs one dy for each y, or none");
          }
          std::vector<Type> types;
          for (size_t i = 0; i < xs; ++i) {
            const Type& x = args.in[ys + i];
            if (!is_float(x.dtype)) args.fail("gradients exist for float tensors only, not for " + x.to_string());
            types.push_back(x);
          }
          return types;
        },
};

}  // namespace backplane::graph::op
