// SPDX-License-Identifier: Apache-2.0
// Elementary functions over their whole range, in units in the last place of the f64 result.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

using Math = CardTest;

struct Function {
  const char* name;
  uint16_t code;
  double (*exact)(double);
  double low, high;
};
const Function kFunctions[] = {
    {"exp", BP_S_EXP, [](double x) { return std::exp(x); }, -105, 90},
    {"log", BP_S_LOG, [](double x) { return std::log(x); }, 0, 1e6},
    {"sqrt", BP_S_SQRT, [](double x) { return std::sqrt(x); }, 0, 1e6},
    {"rsqrt", BP_S_RSQRT, [](double x) { return 1 / std::sqrt(x); }, 0, 1e6},
    {"sin", BP_S_SIN, [](double x) { return std::sin(x); }, -1e5, 1e5},
    {"cos", BP_S_COS, [](double x) { return std::cos(x); }, -1e5, 1e5},
    {"tanh", BP_S_TANH, [](double x) { return std::tanh(x); }, -12, 12},
    {"erf", BP_S_ERF, [](double x) { return std::erf(x); }, -6, 6},
    {"expm1", BP_S_EXPM1, [](double x) { return std::expm1(x); }, -20, 90},
    {"log1p", BP_S_LOG1P, [](double x) { return std::log1p(x); }, -1, 1e5},
    {"floor", BP_S_FLOOR, [](double x) { return std::floor(x); }, -100, 100},
    {"ceil", BP_S_CEIL, [](double x) { return std::ceil(x); }, -100, 100},
    {"neg", BP_S_NEG, [](double x) { return -x; }, -100, 100},
    {"abs", BP_S_ABS, [](double x) { return std::fabs(x); }, -100, 100},
};

/// Distance in f32 units in the last place at the exact result, subnormals included.
double ulps(double ours, double exact) {
  if (std::isnan(exact)) return std::isnan(ours) ? 0 : 1e9;
  const double rounded = static_cast<float>(exact);
  if (std::isinf(rounded) || std::isinf(ours)) {
    if (rounded == ours) return 0;
    return std::fabs(exact) > 3.4028e38 && std::fabs(ours) > 3.402e38 ? 1 : 1e9;  // at the very edge
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(ours - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

std::vector<double> run(uint16_t code, const std::vector<float>& x, const std::vector<float>* y = nullptr) {
  Case c;
  c.name = "function";
  c.code = BP_OP_POINTWISE;
  const int64_t n = static_cast<int64_t>(x.size());
  c.in = {lay_out(BP_F32, {n})};
  if (y != nullptr) c.in.push_back(lay_out(BP_F32, {n}));
  c.out = {lay_out(BP_F32, {n})};
  const uint16_t inputs = static_cast<uint16_t>(c.in.size());
  c.program = {{instr(code, BP_F32, 0, y != nullptr ? 1 : 0)}, inputs, {inputs}};
  if (y == nullptr) c.program.instrs[0].b = 0;
  c.has_program = true;
  bp_program program;
  const bp_op op = make_op(c, program);
  Card& card = card_under_test();
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  EXPECT_EQ(card.kernels->prepare(card.device, &op, nullptr, &kernel, nullptr, &error), BP_OK) << error.message;
  Guarded a(card, reinterpret_cast<const char*>(x.data()), x.size() * 4);
  Guarded b(card, y != nullptr ? reinterpret_cast<const char*>(y->data()) : nullptr, x.size() * 4);
  Guarded result(card, nullptr, x.size() * 4);
  const bp_view in[] = {a.view(0), b.view(0)};
  const bp_view out[] = {result.view(0)};
  EXPECT_EQ(card.kernels->enqueue(card.queue, kernel, in, out, out[0], &error), BP_OK);
  const std::vector<char> bytes = result.contents();
  card.kernels->destroy(kernel);
  std::vector<double> values;
  for (size_t i = 0; i < x.size(); ++i) values.push_back(read_element(BP_F32, bytes.data() + 4 * i));
  return values;
}

TEST_F(Math, FewUnitsInTheLastPlace) {
  for (const Function& f : kFunctions) {
    std::vector<float> x;
    for (int i = 0; i <= 200000; ++i) x.push_back(static_cast<float>(f.low + (f.high - f.low) * i / 200000));
    for (double small = 1e-44; small < 100; small *= 1.0173) {  // every magnitude, both signs
      x.push_back(static_cast<float>(small));
      if (f.low < 0) x.push_back(static_cast<float>(small < -f.low ? -small : f.low));
    }
    for (double near = 0.5; near < 2; near *= 1.00003) x.push_back(static_cast<float>(near));
    for (float special : {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-42f, 3.4e38f, -3.4e38f, 1.0f, -1.0f, 88.72f, 88.73f,
                          -87.4f, -103.9f, 1e8f, 1e9f, -2e9f}) {
      x.push_back(special);
    }
    const std::vector<double> y = run(f.code, x);
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double distance = ulps(y[i], f.exact(static_cast<double>(x[i])));
      if (distance > worst) worst = distance, at = x[i];
    }
    RecordProperty(f.name, std::to_string(worst));
    std::printf("%-6s worst %.2f ulp at %g\n", f.name, worst, static_cast<double>(at));
    EXPECT_LE(worst, 4.0) << f.name << " at " << at;
  }
}

TEST_F(Math, SignedZerosSurvive) {
  for (uint16_t code : {BP_S_SIN, BP_S_TANH, BP_S_ERF, BP_S_EXPM1, BP_S_LOG1P, BP_S_SQRT}) {
    const std::vector<double> y = run(code, std::vector<float>(20, -0.0f));
    EXPECT_TRUE(y[0] == 0 && std::signbit(y[0])) << code;
  }
}

TEST_F(Math, PowerAsInC99) {
  std::vector<float> x, y;
  const float bases[] = {0.0f, -0.0f, 1.0f, -1.0f, 2.0f, -2.0f, 0.5f, INFINITY, -INFINITY, NAN, 1e-40f, 3e38f};
  for (float base : bases) {
    for (float exponent : {0.0f, 1.0f, -1.0f, 2.0f, 3.0f, 0.5f, -0.5f, INFINITY, -INFINITY, NAN, 100.0f, -7.0f}) {
      x.push_back(base), y.push_back(exponent);
    }
  }
  while (x.size() < 2048) x.push_back(1.0f), y.push_back(1.0f);  // the next blocks hold usual arguments only
  for (int i = 1; i < 60000; ++i) {
    x.push_back(static_cast<float>(i) * 0.00173f);
    y.push_back(static_cast<float>(i % 401 - 200) * 0.0973f);
  }
  const std::vector<double> p = run(BP_S_POW, x, &y);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, ulps(p[i], std::pow(static_cast<double>(x[i]), static_cast<double>(y[i]))));
  }
  std::printf("pow    worst %.2f ulp\n", worst);
  EXPECT_LE(worst, 4.0);
}

}  // namespace
}  // namespace card_test
