// SPDX-License-Identifier: Apache-2.0
// The three convolutions as batched products (one batch entry per group) whose operands' elements are found one by one:
//
//   direction      m           n                      k                  a        b
//   result         filter      image, position of y   channel, tap       w        x
//   data           channel     image, position of x   filter, tap        w        dy
//   filter         filter      channel, tap           image, position    dy       x
#include "backplane/sdk/program.hpp"
#include "convolution.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

constexpr const char* kAxes[] = {"z", "y", "x"};
constexpr std::string_view kDivide =
    "#define DIVIDE(q, r, i, n) int q = QUOTIENT(i, n); int r = (i) - q * (n);";

/// SPLIT_name(i, outer, z, y, x): i = ((outer * extent0 + z) * extent1 + y) * extent2 + x. Axes of extent 1 cost
/// nothing.
void declare_split(Source& source, const std::string& name, const Spatial& extents, bool constant) {
  std::string body, rest = "(i)";
  for (int axis = 2; axis >= 0; --axis) {
    const std::string a = kAxes[axis];
    if (extents[axis] == 1) {
      body += "int " + a + " = 0; ";
      continue;
    }
    std::string extent = std::to_string(extents[axis]);
    if (!constant) source.param(extent = name + "_n" + a, extents[axis]);
    const std::string next = a + "_rest";
    body += "DIVIDE(" + next + ", " + a + ", " + rest + ", " + extent + ") ";
    rest = next;
  }
  source.define("SPLIT_" + name + "(i, outer, z, y, x, x_rest, y_rest, z_rest)", body + "int outer = " + rest + ";");
}

std::string split(const std::string& name, const std::string& i, const std::string& outer, const std::string& p) {
  return "SPLIT_" + name + "(" + i + ", " + outer + ", " + p + "z, " + p + "y, " + p + "x, " + p + "xr, " + p + "yr, " +
         p + "zr) ";
}

/// Declares name_s0 ... and gives the expression of the element's place for five coordinates.
std::string place(Source& source, const std::string& name, const bp_tensor_desc& desc,
                  const std::array<std::string, 5>& at) {
  std::string sum = "0";
  for (uint32_t axis = 0; axis < 5; ++axis) {
    if (desc.shape[axis] == 1 || desc.strides[axis] == 0) continue;
    if (desc.strides[axis] == 1) {
      sum += " + (" + at[axis] + ")";
      continue;
    }
    const std::string stride = name + "_s" + std::to_string(axis);
    source.param(stride, desc.strides[axis]);
    sum += " + (" + at[axis] + ") * " + stride;
  }
  return sum;
}

/// v = x at the place that position `q` and tap `t` meet, or 0 outside.
std::string gather_x(Source& source, const ConvolutionProblem& p, const std::string& buffer,
                     const std::string& channel) {
  std::string body, inside = "true";
  for (int axis = 0; axis < 3; ++axis) {
    const std::string a = kAxes[axis];
    body += "int i" + a + " = q" + a + " * " + std::to_string(p.stride[axis]) + " + t" + a + " * " +
            std::to_string(p.dilation[axis]) + " - pad_" + a + "; ";
    source.param("pad_" + a, p.pad[axis]);
    source.param("in_" + a, p.in[axis]);
    inside += " && i" + a + " >= 0 && i" + a + " < in_" + a;
  }
  body += "v = ZERO; if (" + inside + ") { v = LOAD_" + buffer + "(";
  return body +
         place(source, "x", p.x,
               {"image", "group * " + std::to_string(p.group_channels()) + " + " + channel, "iz", "iy", "ix"}) +
         "); }";
}

/// v = dy at the position that input place `q` and tap `t` meet, or 0 where there is none.
std::string gather_y(Source& source, const ConvolutionProblem& p, const std::string& buffer) {
  std::string body, inside = "true";
  for (int axis = 0; axis < 3; ++axis) {
    const std::string a = kAxes[axis], s = std::to_string(p.stride[axis]);
    source.param("pad_" + a, p.pad[axis]);
    body += "int u" + a + " = q" + a + " + pad_" + a + " - t" + a + " * " + std::to_string(p.dilation[axis]) + "; ";
    body += "int i" + a + " = u" + a + " / " + s + "; ";
    source.param("out_" + a, p.out[axis]);
    inside += " && u" + a + " >= 0 && i" + a + " < out_" + a;
    if (p.stride[axis] != 1) inside += " && u" + a + " == i" + a + " * " + s;
  }
  body += "v = ZERO; if (" + inside + ") { v = LOAD_" + buffer + "(";
  return body +
         place(source, "y", p.y,
               {"image", "group * " + std::to_string(p.group_filters()) + " + channel", "iz", "iy", "ix"}) +
         "); }";
}

void declare_operands(Source& source, const ConvolutionProblem& p) {
  const std::string filters = std::to_string(p.group_filters());
  source.text(kDivide);
  declare_split(source, "TAPS", p.kernel, true);
  source.define("PLACE(batch)", "int group = batch;");
  if (p.direction == BP_OP_CONVOLUTION_GRAD_FILTER) {
    declare_split(source, "OUT", p.out, false);
    source.input("a", p.y_index, p.op->inputs[p.y_index]);
    source.input("b", p.x_index, p.op->inputs[p.x_index]);
    source.define("GET_A(v, m, k)",
                  "{ " + split("OUT", "k", "image", "q") + "v = LOAD_a(" +
                      place(source, "y", p.y, {"image", "group * " + filters + " + m", "qz", "qy", "qx"}) + "); }");
    source.define("GET_B(v, k, n)", "{ " + split("TAPS", "n", "channel", "t") + split("OUT", "k", "image", "q") +
                                        gather_x(source, p, "b", "channel") + " }");
    return;
  }
  source.input("a", p.w_index, p.op->inputs[p.w_index]);
  const bool forward = p.direction == BP_OP_CONVOLUTION;
  const uint32_t other = forward ? p.x_index : p.y_index;
  source.input("b", other, p.op->inputs[other]);
  declare_split(source, "SPACE", forward ? p.out : p.in, false);
  const std::array<std::string, 5> at =
      forward ? std::array<std::string, 5>{"group * " + filters + " + m", "channel", "tz", "ty", "tx"}
              : std::array<std::string, 5>{"group * " + filters + " + channel", "m", "tz", "ty", "tx"};
  source.define("GET_A(v, m, k)",
                "{ " + split("TAPS", "k", "channel", "t") + "v = LOAD_a(" + place(source, "w", p.w, at) + "); }");
  source.define("GET_B(v, k, n)", "{ " + split("TAPS", "k", "channel", "t") + split("SPACE", "n", "image", "q") +
                                      (forward ? gather_x(source, p, "b", "channel") : gather_y(source, p, "b")) +
                                      " }");
}

void declare_result(Source& source, const ConvolutionProblem& p) {
  declare_convolution_result(source, p);
  source.text(kDivide);
  const bool forward = p.direction == BP_OP_CONVOLUTION;
  if (p.direction == BP_OP_CONVOLUTION_GRAD_FILTER) {
    return source.define("PUT(v, m, n)", "PUT_AT(v, batch * " + std::to_string(p.group_filters()) + " + m, n)");
  }
  source.param("positions", forward ? p.positions() : p.in[0] * p.in[1] * p.in[2]);
  source.define("PUT(v, m, n)", "{ DIVIDE(image, position, n, positions) PUT_AT(v, image, batch * " +
                                    std::to_string(forward ? p.group_filters() : p.group_channels()) +
                                    " + m, position) }");
}

}  // namespace

Product convolution_product(const ConvolutionProblem& p) {
  Product product;
  product.batch = p.groups, product.dtype = p.dtype;
  switch (p.direction) {
    case BP_OP_CONVOLUTION:
      product.m = p.group_filters(), product.n = p.n * p.positions(), product.k = p.group_channels() * p.taps();
      product.a_along_k = true;
      break;
    case BP_OP_CONVOLUTION_GRAD_DATA:
      product.m = p.group_channels(), product.n = p.n * p.in[0] * p.in[1] * p.in[2],
      product.k = p.group_filters() * p.taps();
      break;
    default:
      product.m = p.group_filters(), product.n = p.group_channels() * p.taps(), product.k = p.n * p.positions();
      product.a_along_k = product.b_along_k = true;
      break;
  }
  product.operands = [p](Source& source) { declare_operands(source, p); };
  product.result = [p](Source& source) { declare_result(source, p); };
  return product;
}

}  // namespace backplane::codegen
