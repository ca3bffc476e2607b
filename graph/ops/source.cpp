// SPDX-License-Identifier: Apache-2.0
// Values that are just there. `input` and `constant` get their type from whoever adds them to a graph, so they infer
// nothing; the same holds for `pointwise`, which the fusion pass makes (reduce.cpp has the other primitives).

#include "ops/common.h"

namespace backplane::graph {

const OpDef op::input = {
    .name = "input",
    .doc = "What the caller binds: a placeholder, a variable or a tensor.",
    .min_inputs = 0,
    .max_inputs = 0,
    .tier = Tier::source,
    .saves = Saves::nothing,
    .pure = false,
};

const OpDef op::constant = {
    .name = "constant",
    .doc = "A tensor with given bytes.",
    .min_inputs = 0,
    .max_inputs = 0,
    .tier = Tier::source,
    .saves = Saves::nothing,
};

const OpDef op::full = {
    .name = "full",
    .doc = "y[...] = value, of the given dtype and shape; integers and bool take int_value instead.",
    .min_inputs = 0,
    .max_inputs = 0,
    .attrs = {{"value", AttrKind::real, 0.0, "value of a float dtype"},
              {"int_value", AttrKind::integer, int64_t{0}, "value of an integer dtype or bool"},
              {"dtype", AttrKind::dtype, f32, "dtype of the result"},
              {"shape", AttrKind::integers, Ints{}, "extents of the result"}},
    .tier = Tier::source,
    .fusion = Fusion::elementwise,
    .infer = [](const InferArgs& args) -> std::vector<Type> {
      const Shape shape{Ints(args.attrs.ints("shape").begin(), args.attrs.ints("shape").end())};
      for (const int64_t extent : shape) {
        if (extent < 0) args.fail("shape " + shape.to_string() + " has a negative extent");
      }
      return {{args.attrs.dtype("dtype"), shape}};
    },
    .saves = Saves::nothing,
    .samples = []() -> std::vector<Sample> {
      return {{{}, {{"value", 1.5}, {"shape", Ints{3, 5}}}},
              {{}, {{"value", -2.0}, {"dtype", f64}, {"shape", Ints{}}}},
              {{}, {{"int_value", 7}, {"dtype", i32}, {"shape", Ints{2, 1, 3}}}},
              {{}, {{"int_value", 1}, {"dtype", boolean}, {"shape", Ints{4}}}},
              {{}, {{"value", 3.0}, {"shape", Ints{0, 2}}}}};
    },
};

const OpDef op::pointwise = {
    .name = "pointwise",
    .doc = "(y0, ...) = program(x0, ...), element by element; operands broadcast. Fused from scalar ops.",
    .min_inputs = 0,
    .max_inputs = BP_PROGRAM_MAX_INPUTS,
    .outputs = -1,
    .tier = Tier::primitive,
    .fusion = Fusion::elementwise,
    .native = {BP_OP_POINTWISE, [](const Attrs&, std::span<const Type>, std::span<const Type>,
                                   KernelOp& k) { k.code = BP_OP_POINTWISE; }},
};

}  // namespace backplane::graph
