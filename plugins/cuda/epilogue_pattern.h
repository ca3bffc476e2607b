// SPDX-License-Identifier: Apache-2.0
// Is an epilogue one that libraries have built in? Reads the scalar program behind a matrix product as
//
//     activation(alpha * scale1 * scale2 ... * product + factor1 * input1 + factor2 * input2 ...), rounded to the output's
//     dtype once, where scales are inputs, too
//
// Only what a program says in these words is recognised: sums, differences, products with constants, max(x, 0), and GELU's tanh
// form with its constants to the last bit of f32. The order of sums and factors does not matter; a rounding to a half in
// the middle, a select, another constant, an input that is read twice do: then there is no answer.
//
// Not here: what a library can do of it, which depends on the operands' dtypes and strides.
#pragma once

#include <optional>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::cuda {

enum class Activation { none, relu, gelu_tanh };

struct EpiloguePattern {
  struct Addend {
    uint32_t input;  ///< value number in the program, from 1 on
    double factor;
  };
  double alpha = 1;
  std::vector<uint32_t> scales;  ///< value numbers of inputs that the product alone is multiplied with
  std::vector<Addend> addends;
  Activation activation = Activation::none;
};

/// `input_dtypes` are those of the program's inputs; that of value 0 is what the program computes in.
std::optional<EpiloguePattern> recognise_epilogue(const bp_program& program, const std::vector<uint32_t>& input_dtypes);

}  // namespace backplane::cuda
