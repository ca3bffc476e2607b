// SPDX-License-Identifier: Apache-2.0
#include "winograd_transforms.h"

#include <cmath>
#include <cstdio>

namespace backplane::codegen {
namespace {

constexpr WinogradScheme kSchemes[] = {
    {4,
     6,
     {{4, 0, -5, 0, 1, 0},
      {0, -4, -4, 1, 1, 0},
      {0, 4, -4, -1, 1, 0},
      {0, -2, -1, 2, 1, 0},
      {0, 2, -1, -2, 1, 0},
      {0, 4, 0, -5, 0, 1}},
     {{1.0 / 4, 0, 0},
      {-1.0 / 6, -1.0 / 6, -1.0 / 6},
      {-1.0 / 6, 1.0 / 6, -1.0 / 6},
      {1.0 / 24, 1.0 / 12, 1.0 / 6},
      {1.0 / 24, -1.0 / 12, 1.0 / 6},
      {0, 0, 1}},
     {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}},
    {2,
     4,
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
     {{1, 1, 1, 0}, {0, 1, -1, -1}}},
};

/// A positive constant as text, with a point or an exponent.
std::string constant(double value) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.9g", value);
  const bool whole = std::string(text).find_first_of(".e") == std::string::npos;
  return std::string(text) + (whole ? ".0f" : "f");
}

}  // namespace

std::span<const WinogradScheme> winograd_schemes() { return kSchemes; }

void declare_transform(Source& source, const char* name, const double* matrix, int pitch, int rows, int columns) {
  std::string body;
  for (int i = 0; i < rows; ++i) {
    std::string sum;
    for (int j = 0; j < columns; ++j) {
      const double c = matrix[i * pitch + j];
      if (c == 0) continue;
      const std::string term = (std::abs(c) == 1 ? "" : constant(std::abs(c)) + " * ") + "a" + std::to_string(j);
      sum += sum.empty() ? (c < 0 ? "-" : "") + term : (c < 0 ? " - " : " + ") + term;
    }
    body += "to[(base) + " + std::to_string(i) + " * (step)] = " + sum + "; ";
  }
  source.define(std::string(name) + "(to, base, step)", body);
}

void declare_operands(Source& source, const std::string& name, int count, const std::string& element) {
  std::string body = "VEC ";
  for (int i = 0; i < count; ++i) {
    std::string text = element;
    for (size_t at; (at = text.find('#')) != text.npos;) text.replace(at, 1, std::to_string(i));
    body += (i == 0 ? "a" : ", a") + std::to_string(i) + " = " + text;
  }
  source.define(name, body + ";");
}

void declare_gathered(Source& source, const std::string& name, int count, uint32_t width) {
  const std::string at = "(i) * " + std::to_string(count) + " + #";
  const std::string vector = "vload" + std::to_string(width) + "(" + at + ", raw)";
  declare_operands(source, name, count, width == 1 ? "raw[" + at + "]" : vector);
}

}  // namespace backplane::codegen
