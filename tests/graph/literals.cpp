// SPDX-License-Identifier: Apache-2.0
#include "literals.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "backplane/host/registry.h"
#include "backplane/sdk/convert.h"

namespace backplane::graph::test {

namespace {

/// Ordered so that neighbours differ by one: negative numbers count down from zero.
int64_t ordinal(DType dtype, const std::byte* at) {
  const auto size = static_cast<size_t>(size_of(dtype));
  uint64_t bits = 0;
  std::memcpy(&bits, at, size);
  const uint64_t sign = 1ull << (8 * size - 1);
  return (bits & sign) != 0 ? -static_cast<int64_t>(bits & ~sign) : static_cast<int64_t>(bits);
}

bool is_nan(DType dtype, const std::byte* at) {
  return is_float(dtype) && std::isnan(bp_sdk_load(static_cast<uint32_t>(dtype), at, 0));
}

double special_value(DType dtype, uint64_t pick) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double values[] = {0.0, -0.0, 1.0, -1.0, kInfinity, -kInfinity, std::nan(""), 3.4028234663852886e38, 1.4e-45, -6e-8};
  const double integers[] = {0, 1, -1, 2147483647.0, -2147483648.0};
  return is_float(dtype) ? values[pick % std::size(values)] : integers[pick % std::size(integers)];
}

}  // namespace

Literal random_literal(const Type& type, Random& random, bool special, double low, double high) {
  Literal literal{type, std::vector<std::byte>(static_cast<size_t>(type.bytes()))};
  std::uniform_real_distribution<double> uniform(low, high);
  for (int64_t i = 0; i < type.elements(); ++i) {
    double value = uniform(random);
    const bool odd = special && random() % 4 == 0;
    if (type.dtype == boolean) {
      value = static_cast<double>(random() % 2);
    } else if (odd) {
      value = special_value(type.dtype, random());
    }
    bp_sdk_store(static_cast<uint32_t>(type.dtype), literal.bytes.data(), i, value);
  }
  return literal;
}

std::vector<Literal> random_inputs(const Graph& graph, Random& random, bool special) {
  std::vector<Literal> literals;
  for (const Input& input : graph.inputs()) {
    literals.push_back(random_literal(graph.type({input.node, 0}), random, special));
  }
  return literals;
}

std::vector<Literal> run(const Graph& graph, const std::vector<Literal>& inputs, const PassConfig& passes) {
  CompileOptions options;
  options.stream = Stream::of(host::Registry::instance().reference());
  options.passes = passes;
  return evaluate(graph, inputs, options);
}

std::string difference(const Literal& a, const Literal& b, int ulps) {
  if (a.type != b.type) return a.type.to_string() + " against " + b.type.to_string();
  const auto size = static_cast<size_t>(size_of(a.type.dtype));
  for (size_t at = 0; at < a.bytes.size(); at += size) {
    const std::byte *x = a.bytes.data() + at, *y = b.bytes.data() + at;
    if (std::memcmp(x, y, size) == 0) continue;
    const DType dtype = a.type.dtype;
    if (is_nan(dtype, x) && is_nan(dtype, y)) continue;
    const bool near = ulps > 0 && is_float(dtype) && !is_nan(dtype, x) && !is_nan(dtype, y) &&
                      std::abs(ordinal(dtype, x) - ordinal(dtype, y)) <= ulps;
    if (near) continue;
    char text[160];
    std::snprintf(text, sizeof text, "%s element %zu: %.17g against %.17g", a.type.to_string().c_str(), at / size,
                  bp_sdk_load(static_cast<uint32_t>(dtype), x, 0), bp_sdk_load(static_cast<uint32_t>(dtype), y, 0));
    return text;
  }
  return "";
}

size_t count(const Graph& graph, const OpDef& op) {
  size_t n = 0;
  for (NodeId id = 0; id < graph.size(); ++id) n += graph.node(id).op == &op;
  return n;
}

}  // namespace backplane::graph::test
