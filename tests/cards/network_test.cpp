// SPDX-License-Identifier: Apache-2.0
// Convolution and its gradients, pooling, softmax, random numbers: shapes, layouts, dtypes, every variant.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

using Shape = std::vector<int64_t>;
using Convolution = CardTest;
using Pool = CardTest;
using Softmax = CardTest;
using Normalize = CardTest;
using Random = CardTest;

struct Conv {
  const char* name;
  int64_t n, c, o, groups;
  Shape in, kernel, stride, dilation, low, high;
};
const Conv kConvs[] = {
    {"3x3", 4, 3, 8, 1, {14, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3 wide", 2, 32, 48, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"one channel 5x5", 5, 1, 20, 1, {28, 28}, {5, 5}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1", 3, 16, 24, 1, {9, 9}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1 stride 2", 3, 16, 24, 1, {9, 9}, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
    {"7x7 stride 2", 2, 3, 16, 1, {33, 35}, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}},
    {"dilated", 2, 4, 6, 1, {20, 21}, {3, 2}, {1, 2}, {2, 3}, {2, 1}, {1, 3}},
    {"groups", 2, 12, 8, 4, {10, 11}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"depthwise", 2, 16, 16, 16, {10, 11}, {3, 3}, {2, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"crop", 1, 4, 4, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {-2, 1}, {1, -1}},
    {"1d", 3, 5, 7, 1, {50}, {4}, {3}, {2}, {2}, {5}},
    {"3d", 2, 3, 4, 1, {6, 7, 8}, {3, 2, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 2}, {1, 1, 2}},
    {"one image", 1, 64, 64, 1, {28, 28}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"no image", 0, 3, 4, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
};

bp_convolution_attrs attributes(const Conv& v) {
  bp_convolution_attrs a{};
  a.size = sizeof(a);
  a.spatial_rank = static_cast<uint32_t>(v.in.size());
  a.groups = static_cast<uint32_t>(v.groups);
  for (size_t i = 0; i < v.in.size(); ++i) {
    a.stride[i] = v.stride[i], a.dilation[i] = v.dilation[i], a.pad_low[i] = v.low[i], a.pad_high[i] = v.high[i];
  }
  return a;
}
/// Channels fastest: NHWC storage of an NCHW shape.
bp_tensor_desc channels_last(uint32_t dtype, const Shape& shape) {
  bp_tensor_desc desc = lay_out(dtype, shape);
  int64_t stride = shape[1];
  desc.strides[1] = 1;
  for (size_t i = shape.size(); i-- > 2;) desc.strides[i] = stride, stride *= shape[i];
  desc.strides[0] = stride;
  return desc;
}

void check_convolution(const Conv& v, uint32_t code, uint32_t dtype, bool last, Lay lay, bool epilogue) {
  const bp_convolution_attrs attrs = attributes(v);
  Shape x{v.n, v.c}, w{v.o, v.c / v.groups}, y{v.n, v.o};
  double taps = 1, places = 1;
  for (size_t i = 0; i < v.in.size(); ++i) {
    x.push_back(v.in[i]), w.push_back(v.kernel[i]);
    y.push_back((v.in[i] + v.low[i] + v.high[i] - v.dilation[i] * (v.kernel[i] - 1) - 1) / v.stride[i] + 1);
    taps *= static_cast<double>(v.kernel[i]), places *= static_cast<double>(y.back());
  }
  const auto image = [&](const Shape& shape) {
    return last ? channels_last(dtype, shape) : lay_out(dtype, shape, lay);
  };
  const bp_tensor_desc dx = image(x), dw = lay_out(dtype, w, lay == Lay::padded ? Lay::padded : Lay::dense),
                       dy = image(y);
  Case c;
  c.name = std::string("convolution ") + v.name + " code " + std::to_string(code) + " dtype " + std::to_string(dtype) +
           (last ? " channels last" : " lay " + std::to_string(int(lay))) + (epilogue ? " with epilogue" : "");
  c.code = code;
  c.attrs = &attrs;
  c.bound.linear = true;
  // Winograd transforms add up scaled elements: its own constant is larger.
  c.bound.weight = 64;
  if (code == BP_OP_CONVOLUTION)
    c.in = {dx, dw}, c.out = {dy}, c.bound.terms = taps * static_cast<double>(v.c / v.groups);
  if (code == BP_OP_CONVOLUTION_GRAD_DATA)
    c.in = {dy, dw}, c.out = {dx}, c.bound.terms = taps * static_cast<double>(v.o / v.groups);
  if (code == BP_OP_CONVOLUTION_GRAD_FILTER)
    c.in = {dx, dy}, c.out = {dw}, c.bound.terms = places * static_cast<double>(v.n);
  if (epilogue) {
    bp_tensor_desc bias = lay_out(BP_F32, y);
    for (uint32_t i = 0; i < bias.rank; ++i) bias.strides[i] = i == 1 ? 1 : 0;
    c.in.push_back(bias);
    c.has_program = true;
    c.program = {{instr(BP_S_ADD, BP_F32, 0, 1), constant(BP_F32, 0), instr(BP_S_MAX, BP_F32, 2, 3)}, 2, {4}};
    c.bound.floor = 1;
  }
  compare(c);
}

// 49 times its own reciprocal is less than one in floating point: places must not be found that way.
TEST_F(Convolution, FiltersOfFortyNineTaps) {
  const Conv v{"7x7 of several channels", 2, 3, 16, 1, {24, 24}, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}};
  for (uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
    check_convolution(v, code, BP_F32, false, Lay::dense, false);
  }
}

TEST_F(Convolution, EveryDirectionLayoutAndVariant) {
  for (const Conv& v : kConvs) {
    for (uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
      check_convolution(v, code, BP_F32, false, Lay::dense, false);
      check_convolution(v, code, BP_F32, true, Lay::dense, false);
      check_convolution(v, code, BP_F32, false, Lay::padded, false);
    }
    check_convolution(v, BP_OP_CONVOLUTION, BP_F32, false, Lay::dense, true);
    check_convolution(v, BP_OP_CONVOLUTION, BP_F32, true, Lay::dense, true);
  }
}
// Tiles of 3 x 3 filters that come in several parts, the last one short, of images that no tile size divides.
TEST_F(Convolution, TilesInParts) {
  const Conv v{"3x3 in parts", 4, 32, 32, 1, {45, 47}, {3, 3}, {1, 1}, {1, 1}, {1, 0}, {1, 2}};
  check_convolution(v, BP_OP_CONVOLUTION, BP_F32, false, Lay::dense, false);
  check_convolution(v, BP_OP_CONVOLUTION_GRAD_DATA, BP_F32, false, Lay::dense, false);
}
// Filters per channel, rows shorter and longer than vectors, strides, holes and crops.
TEST_F(Convolution, Depthwise) {
  const Conv cases[] = {
      {"depthwise twice", 2, 6, 12, 6, {11, 37}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"depthwise strided", 1, 5, 5, 5, {20, 40}, {5, 3}, {2, 3}, {1, 2}, {2, -1}, {1, 4}},
      {"depthwise 1d", 2, 4, 8, 4, {70}, {7}, {1}, {1}, {6}, {0}},
  };
  for (const Conv& v : cases) {
    for (uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
      check_convolution(v, code, BP_F32, false, Lay::dense, code == BP_OP_CONVOLUTION && v.c == 6);
    }
    check_convolution(v, BP_OP_CONVOLUTION_GRAD_FILTER, BP_F32, true, Lay::dense, false);
    check_convolution(v, BP_OP_CONVOLUTION, BP_F16, false, Lay::padded, false);
  }
}
TEST_F(Convolution, HalfTypes) {
  for (const Conv& v : {kConvs[0], kConvs[4], kConvs[10]}) {
    for (uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
      check_convolution(v, code, BP_F16, false, Lay::dense, false);
      check_convolution(v, code, BP_BF16, true, Lay::dense, false);
    }
  }
}

struct Window {
  Shape in, window, stride, dilation, low, high;
};
const Window kWindows[] = {{{8, 8}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
                           {{13, 700}, {3, 3}, {2, 1}, {1, 1}, {1, 1}, {1, 0}},
                           {{15, 14}, {3, 2}, {1, 3}, {2, 4}, {2, 1}, {0, 2}},
                           {{33}, {4}, {3}, {1}, {1}, {2}},
                           {{6, 5, 7}, {2, 3, 2}, {2, 1, 2}, {1, 1, 1}, {0, 1, 1}, {1, 1, 0}},
                           // without overlap: gaps between windows, rests after them, a window that reaches beyond
                           {{11, 10}, {2, 3}, {3, 4}, {1, 1}, {0, 0}, {1, 2}},
                           {{7, 5, 6}, {1, 2, 3}, {2, 2, 3}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}}};

TEST_F(Pool, KindsWindowsAndLayouts) {
  for (const Window& v : kWindows) {
    for (uint32_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
      for (uint32_t count_padding : {0u, 1u}) {
        for (uint32_t dtype : {BP_F32, BP_BF16}) {
          for (int layout = 0; layout < 3; ++layout) {
            bp_pool_attrs a{};
            a.size = sizeof(a), a.kind = kind, a.spatial_rank = static_cast<uint32_t>(v.in.size()),
            a.count_padding = count_padding;
            Shape x{2, 5}, y{2, 5};
            for (size_t i = 0; i < v.in.size(); ++i) {
              a.window[i] = v.window[i], a.stride[i] = v.stride[i], a.dilation[i] = v.dilation[i];
              a.pad_low[i] = v.low[i], a.pad_high[i] = v.high[i];
              x.push_back(v.in[i]);
              y.push_back((v.in[i] + v.low[i] + v.high[i] - v.dilation[i] * (v.window[i] - 1) - 1) / v.stride[i] + 1);
            }
            const auto image = [&](const Shape& s, bool other = false) {
              return layout == 1 ? channels_last(dtype, s)
                                 : lay_out(dtype, s, layout == 2 && !other ? Lay::padded : Lay::dense);
            };
            Case c;
            c.name = "pool kind " + std::to_string(kind) + " layout " + std::to_string(layout) + " dtype " +
                     std::to_string(dtype);
            c.code = BP_OP_POOL;
            c.attrs = &a;
            c.in = {image(x)}, c.out = {image(y)};
            c.bound.exact = kind == BP_POOL_MAX;
            c.bound.floor = 1;
            c.value = [](size_t, int64_t e) {
              return e % 97 == 5 ? NAN : double(e * 31 % 17) / 8 - 1;
            };  // ties and NaN
            compare(c);
            Case g = c;
            g.name += " gradient";
            g.code = BP_OP_POOL_GRAD;
            g.in = {image(x), image(y), image(y, true)}, g.out = {image(x, true)};
            // y has to be the pool of x: what the reference gives.
            g.value = nullptr;
            g.bound.exact = false;
            g.bound.floor = 4;
            const std::vector<double> pooled = on_reference(c)[0];
            g.value = [&](size_t i, int64_t e) {
              return i == 0 ? c.value(0, e) : i == 1 ? pooled[static_cast<size_t>(e)] : double(e * 13 % 23) / 11 - 1;
            };
            compare(g);
          }
        }
      }
    }
  }
}

TEST_F(Pool, WindowsOfInfinitiesAndNan) {
  for (uint32_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    for (bool last : {false, true}) {
      bp_pool_attrs a{};
      a.size = sizeof(a), a.kind = kind, a.spatial_rank = 2;
      for (int i = 0; i < 2; ++i) a.window[i] = 3, a.stride[i] = 2, a.dilation[i] = a.pad_low[i] = a.pad_high[i] = 1;
      const Shape x{2, 40, 41, 41}, y{2, 40, 21, 21};
      Case c;
      c.name = "pool of infinities, kind " + std::to_string(kind) + (last ? " channels last" : "");
      c.code = BP_OP_POOL;
      c.attrs = &a;
      c.in = {last ? channels_last(BP_F32, x) : lay_out(BP_F32, x)};
      c.out = {last ? channels_last(BP_F32, y) : lay_out(BP_F32, y)};
      // Only the first image has any; its first plane is all -inf.
      c.value = [](size_t, int64_t e) {
        return e < 41 * 41 ? -INFINITY : e == 5000 ? NAN : e == 9000 ? INFINITY : double(e * 31 % 17) / 8 - 1;
      };
      c.bound.exact = kind == BP_POOL_MAX, c.bound.floor = 2;
      compare(c);
      if (kind == BP_POOL_MAX) continue;
      c.name += " gradient";
      c.code = BP_OP_POOL_GRAD;
      c.in = {c.in[0], c.out[0], c.out[0]};
      c.out = {c.in[0]};
      compare(c);
    }
  }
}

TEST_F(Softmax, AxesLayoutsAndGradients) {
  for (const Shape& shape :
       {Shape{5}, Shape{64, 10}, Shape{33, 16}, Shape{17, 48}, Shape{35, 100}, Shape{3, 100, 7}, Shape{4, 1000},
        Shape{2, 3, 4, 65}, Shape{300, 257}}) {
    for (uint32_t axis = 0; axis < shape.size(); ++axis) {
      for (uint32_t code : {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX, BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD}) {
        for (uint32_t dtype : {BP_F32, BP_F16}) {
          for (Lay lay : {Lay::dense, Lay::permuted, Lay::stepped, Lay::broadcast_first}) {
            const bp_axis_attrs a{sizeof(a), axis};
            Case c;
            c.name = "softmax code " + std::to_string(code) + " axis " + std::to_string(axis) + " lay " +
                     std::to_string(int(lay));
            c.code = code;
            c.attrs = &a;
            c.in = {lay_out(dtype, shape, lay)}, c.out = {lay_out(dtype, shape)};
            const bool gradient = code == BP_OP_SOFTMAX_GRAD || code == BP_OP_LOG_SOFTMAX_GRAD;
            if (gradient) c.in.push_back(lay_out(dtype, shape));
            c.low = -3, c.high = 3;
            c.bound.terms = static_cast<double>(shape[axis]);
            c.bound.weight = 16;
            // The gradients subtract a sum over the row: its size is what the error is relative to.
            if (gradient) c.low = -1, c.high = 1, c.bound.floor = static_cast<double>(shape[axis]);
            if (code == BP_OP_LOG_SOFTMAX) c.bound.floor = 8;
            compare(c);
            if (lay != Lay::dense || dtype != BP_F32) continue;
            c.aliases = {{0, 0}};
            compare(c);
          }
        }
      }
    }
  }
}
TEST_F(Softmax, InfinitiesAndNan) {
  const bp_axis_attrs a{sizeof(a), 1};
  // One piece, and pieces for several threads of which only the first holds anything special.
  for (const Shape& shape : {Shape{4, 70}, Shape{400, 130}}) {
    for (uint32_t code : {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX, BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD}) {
      Case c;
      c.name = "softmax of infinities, code " + std::to_string(code);
      c.code = code;
      c.attrs = &a;
      const bool gradient = code == BP_OP_SOFTMAX_GRAD || code == BP_OP_LOG_SOFTMAX_GRAD;
      c.in.assign(gradient ? 2 : 1, lay_out(BP_F32, shape)), c.out = {c.in[0]};
      const int64_t length = shape[1];
      for (size_t special : {size_t{0}, c.in.size() - 1}) {
        c.value = [=](size_t input, int64_t e) {
          const int64_t row = e / length, i = e % length;
          if (input != special) return 0.25;
          return row == 0   ? -INFINITY
                 : row == 1 ? (i % 2 == 0 ? -INFINITY : (gradient ? -1.0 : 1000.0) + double(i))
                 : row == 2 && i == 3            ? NAN
                 : row == 3 && i == length - 1   ? INFINITY
                                                 : 1.0 / double(1 + i);
        };
        c.bound.weight = 16, c.bound.floor = 1;
        if (gradient) c.bound.floor = static_cast<double>(length), c.bound.terms = static_cast<double>(length);
        compare(c);
      }
    }
  }
}
TEST_F(Softmax, GradientsInPlaceOfEitherOperand) {
  for (uint32_t code : {BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD}) {
    for (size_t input : {size_t{0}, size_t{1}}) {
      const bp_axis_attrs a{sizeof(a), 1};
      Case c;
      c.name = "softmax in place of input " + std::to_string(input) + " code " + std::to_string(code);
      c.code = code;
      c.attrs = &a;
      c.in = {lay_out(BP_F32, {301, 259}), lay_out(BP_F32, {301, 259})}, c.out = {c.in[0]};
      c.aliases = {{0, input}};
      c.bound.terms = c.bound.floor = 259, c.bound.weight = 16;
      compare(c);
    }
  }
}

TEST_F(Normalize, LayerBatchAndRootMeanSquare) {
  struct Kind {
    Shape shape;
    uint32_t axes;
    bool per_position;
  };
  for (const Kind& k : {Kind{{6, 50}, 2, true}, Kind{{3, 4, 1030}, 4, true}, Kind{{3, 5, 6}, 6, true},
                        Kind{{8, 5, 6, 7}, 13, false}, Kind{{4, 3, 40}, 5, false}, Kind{{70, 1000}, 2, true},
                        Kind{{600, 21}, 2, true}}) {
    for (uint32_t kind : {BP_NORMALIZE_MEAN_VARIANCE, BP_NORMALIZE_RMS}) {
      for (uint32_t dtype : {BP_F32, BP_F16}) {
        for (bool statistics : {false, true}) {
          const bp_normalize_attrs a{sizeof(a), kind, k.axes, 0, 1e-5};
          bp_tensor_desc parameter = lay_out(BP_F32, k.shape);
          Shape reduced = k.shape, sums = k.shape;
          int64_t stride = 1;
          double terms = 1;
          for (uint32_t i = parameter.rank; i-- > 0;) {
            const bool inside = (k.axes >> i & 1u) != 0;
            if (inside) reduced[i] = 1, terms *= static_cast<double>(k.shape[i]);
            const bool varies = inside == k.per_position;
            parameter.strides[i] = varies ? stride : 0;
            if (varies) stride *= k.shape[i];
            else sums[i] = 1;
          }
          Case c;
          c.name = "normalize axes " + std::to_string(k.axes) + " kind " + std::to_string(kind) + " dtype " +
                   std::to_string(dtype);
          c.code = BP_OP_NORMALIZE;
          c.attrs = &a;
          c.in = {lay_out(dtype, k.shape), parameter, parameter};
          c.out = {lay_out(dtype, k.shape)};
          const bp_tensor_desc statistic = lay_out(BP_F32, reduced);
          if (statistics) c.out.insert(c.out.end(), {statistic, statistic});
          c.low = 1, c.high = 3;  // a mean that is not small
          c.bound.terms = terms, c.bound.weight = 16, c.bound.floor = 6;
          compare(c);
          if (!statistics) {
            c.aliases = {{0, 0}};
            compare(c);
            continue;
          }
          Case g = c;
          g.name += " gradient";
          g.code = BP_OP_NORMALIZE_GRAD;
          g.in = {lay_out(dtype, k.shape), lay_out(dtype, k.shape), statistic, statistic, parameter};
          g.out = {lay_out(dtype, k.shape), lay_out(BP_F32, sums), lay_out(BP_F32, sums)};
          g.low = -1, g.high = 1;
          // Sums over the group or over the groups, whichever are longer.
          double all = 1;
          for (int64_t extent : k.shape) all *= static_cast<double>(extent);
          g.bound.terms = std::max(terms, all / terms), g.bound.floor = std::max(terms, all / terms);
          compare(g);
        }
      }
    }
  }
}

TEST_F(Normalize, InfinitiesAndNanStayInTheirRow) {
  const bp_normalize_attrs a{sizeof(a), BP_NORMALIZE_MEAN_VARIANCE, 2, 0, 1e-5};
  bp_tensor_desc row = lay_out(BP_F32, {300, 131});
  row.strides[0] = 0;
  for (bool statistics : {false, true}) {
    Case c;
    c.name = "layer norm of infinities";
    c.code = BP_OP_NORMALIZE;
    c.attrs = &a;
    c.in = {lay_out(BP_F32, {300, 131}), row, row}, c.out = {c.in[0]};
    if (statistics) c.out.insert(c.out.end(), 2, lay_out(BP_F32, {300, 1}));
    c.value = [](size_t input, int64_t e) {
      const int64_t r = e / 131, i = e % 131;
      if (input != 0) return 1.5;
      return r == 1 && i == 3 ? NAN : r == 200 && i == 130 ? -INFINITY : r == 5 ? 2.0 : double(e * 31 % 17) / 8 - 1;
    };
    c.bound.terms = 131, c.bound.weight = 16, c.bound.floor = 6;
    compare(c);
  }
}

TEST_F(Random, TheSameNumbersAsTheReference) {
  for (uint32_t kind : {BP_RANDOM_BITS, BP_RANDOM_UNIFORM}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{1000, 7}, Shape{50000}}) {
      for (Lay lay : {Lay::dense, Lay::permuted, Lay::stepped}) {
        const bp_random_attrs a{sizeof(a), kind};
        Case c;
        c.name = "random";
        c.code = BP_OP_RANDOM;
        c.attrs = &a;
        c.in = {lay_out(BP_I32, {4}, Lay::stepped)};
        c.out = {lay_out(kind == BP_RANDOM_BITS ? BP_I32 : BP_F32, shape, lay)};
        c.bound.exact = true;
        c.value = [](size_t, int64_t e) { return double(e * 1234567891) - 2e9; };
        compare(c);
      }
    }
  }
}

}  // namespace
}  // namespace card_test
