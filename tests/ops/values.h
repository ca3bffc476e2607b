// SPDX-License-Identifier: Apache-2.0
// Tensors as test data: random ones that are the same in every run, and all dtypes as doubles and back.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backplane/graph/graph.h"

namespace backplane::test {

using graph::Literal;

/// Uniform in [low, high), rounded to the dtype; integers likewise. Equal seeds give equal values on every machine.
Literal random_literal(const graph::SampleInput& input, uint64_t seed);
/// i64 beyond 2^53 is rounded.
std::vector<double> to_doubles(const Literal& literal);
Literal from_doubles(const Type& type, std::span<const double> values);
/// NaN for floats; a value that is no index and no flag pattern in use for the others.
Literal poison(const Type& type);

/// "" when each element of `got` is within `tolerance` of `want` (NaN equals NaN, infinities equal themselves),
/// otherwise the worst element in words. Types have to be equal.
std::string difference(const Literal& want, const Literal& got, double tolerance);

}  // namespace backplane::test
