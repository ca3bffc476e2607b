// SPDX-License-Identifier: Apache-2.0
// CONVOLUTION and POOL of the reference card against the formulas of OPERATIONS.md, written as plain loops over every
// index, and their gradients.
#include <gmock/gmock.h>

#include "backplane/sdk/shape_rules.hpp"
#include "reference_card.hpp"

namespace backplane::testing {
namespace {

/// Steps `index` to the next position; false at the end.
bool next(Shape& index, const Shape& shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++index[i] < shape[i]) return true;
    index[i] = 0;
  }
  return false;
}
bool empty(const Shape& shape) {
  for (int64_t extent : shape) {
    if (extent == 0) return true;
  }
  return false;
}

struct Filter {
  Shape x, w;
  int64_t groups;
  std::vector<int64_t> stride, dilation, low, high;
};

bp_convolution_attrs attrs_of(const Filter& s) {
  bp_convolution_attrs a{};
  a.size = sizeof(a);
  a.spatial_rank = static_cast<uint32_t>(s.x.size() - 2);
  a.groups = static_cast<uint32_t>(s.groups);
  for (size_t i = 0; i < s.stride.size(); ++i) {
    a.stride[i] = s.stride[i];
    a.dilation[i] = s.dilation[i];
    a.pad_low[i] = s.low[i];
    a.pad_high[i] = s.high[i];
  }
  return a;
}

Shape output_shape(const Filter& s) {
  Shape y{s.x[0], s.w[0]};
  for (size_t i = 0; i < s.stride.size(); ++i) {
    y.push_back(sdk::rules::window_positions(s.x[2 + i], s.w[2 + i], s.stride[i], s.dilation[i], s.low[i], s.high[i]));
  }
  return y;
}

int64_t flat(const Shape& index, const Shape& shape) {
  int64_t result = 0;
  for (size_t i = 0; i < shape.size(); ++i) result = result * shape[i] + index[i];
  return result;
}

/// body(x index, w index, y index) for each product of the sum.
template <class Body>
void for_each_product(const Filter& s, Body&& body) {
  const Shape y = output_shape(s);
  if (empty(y) || empty(s.w)) return;
  const int64_t per_group = s.w[0] / s.groups;
  Shape p(y.size(), 0);
  do {
    Shape q(s.w.size() - 1, 0);  // channel within the group, filter position
    const Shape q_shape(s.w.begin() + 1, s.w.end());
    do {
      Shape i{p[0], p[1] / per_group * s.w[1] + q[0]};
      bool inside = true;
      for (size_t a = 0; a < s.stride.size(); ++a) {
        i.push_back(p[2 + a] * s.stride[a] - s.low[a] + q[1 + a] * s.dilation[a]);
        inside = inside && i.back() >= 0 && i.back() < s.x[2 + a];
      }
      if (!inside) continue;
      Shape w{p[1]};
      w.insert(w.end(), q.begin(), q.end());
      body(flat(i, s.x), flat(w, s.w), flat(p, y));
    } while (next(q, q_shape));
  } while (next(p, y));
}

const Filter kFilters[] = {
    {{2, 3, 9}, {4, 3, 3}, 1, {1}, {1}, {1}, {1}},
    {{1, 4, 10}, {6, 2, 3}, 2, {2}, {2}, {3}, {0}},
    {{2, 3, 7, 6}, {5, 3, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {{2, 4, 9, 8}, {4, 2, 3, 2}, 2, {2, 3}, {1, 2}, {2, 0}, {1, 3}},
    {{1, 3, 8, 8}, {3, 1, 3, 3}, 3, {1, 2}, {1, 1}, {-1, -2}, {0, -1}},
    {{1, 2, 3, 3}, {2, 2, 1, 1}, 1, {3, 3}, {1, 1}, {4, 0}, {4, 0}},
    {{1, 2, 5, 4, 6}, {4, 1, 2, 3, 2}, 2, {1, 2, 2}, {2, 1, 1}, {0, 1, 2}, {1, 0, 1}},
    {{1, 1, 2, 2}, {1, 1, 3, 3}, 1, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {{0, 2, 4}, {3, 2, 3}, 1, {1}, {1}, {0}, {0}},
};

TEST(ReferenceConvolution, AllThreeAreTheFormula) {
  for (const Filter& s : kFilters) {
    const bp_convolution_attrs attrs = attrs_of(s);
    for (uint32_t dtype : {BP_F32, BP_F64, BP_I64}) {
      const Tensor x = random_tensor(dtype, s.x, 1, -4, 4), w = random_tensor(dtype, s.w, 2, -4, 4),
                   dy = random_tensor(dtype, output_shape(s), 3, -4, 4);
      std::vector<double> y_want(static_cast<size_t>(dy.size())), x_want(static_cast<size_t>(x.size())),
          w_want(static_cast<size_t>(w.size()));
      for_each_product(s, [&](int64_t i, int64_t q, int64_t p) {
        y_want[static_cast<size_t>(p)] += x.at(i) * w.at(q);
        x_want[static_cast<size_t>(i)] += dy.at(p) * w.at(q);
        w_want[static_cast<size_t>(q)] += dy.at(p) * x.at(i);
      });
      Case forward{BP_OP_CONVOLUTION, {x.scrambled(), w}, {Tensor(dtype, output_shape(s)).scrambled()}, &attrs};
      card().run(forward);
      expect_near(forward.outputs[0], y_want, 1e-6, "y");
      Case data{BP_OP_CONVOLUTION_GRAD_DATA, {dy, w.scrambled()}, {Tensor(dtype, s.x)}, &attrs};
      card().run(data);
      expect_near(data.outputs[0], x_want, 1e-6, "dx");
      Case filter{BP_OP_CONVOLUTION_GRAD_FILTER, {x, dy.scrambled()}, {Tensor(dtype, s.w)}, &attrs};
      card().run(filter);
      expect_near(filter.outputs[0], w_want, 1e-6, "dw");
    }
  }
}

TEST(ReferenceConvolution, EpilogueAddsAPerChannelBias) {
  const Filter& s = kFilters[2];
  const bp_convolution_attrs attrs = attrs_of(s);
  const Shape shape = output_shape(s);
  Program p(2);
  const uint16_t sum = p.add(BP_S_ADD, BP_F32, 0, 1);
  const Tensor x = random_tensor(BP_F32, s.x, 1), w = random_tensor(BP_F32, s.w, 2),
               bias = random_tensor(BP_F32, {s.w[0], 1, 1}, 3);
  Case plain{BP_OP_CONVOLUTION, {x, w}, {Tensor(BP_F32, shape)}, &attrs};
  Case fused{BP_OP_CONVOLUTION, {x, w, bias.broadcast(shape)}, {Tensor(BP_F32, shape)}, &attrs, p.done({sum})};
  card().run(plain);
  card().run(fused);
  const int64_t plane = shape[2] * shape[3];
  for (int64_t i = 0; i < plain.outputs[0].size(); ++i) {
    ASSERT_FLOAT_EQ(fused.outputs[0].at(i), plain.outputs[0].at(i) + bias.at(i / plane % s.w[0]));
  }
}

bp_pool_attrs pool_attrs(uint32_t kind, uint32_t count_padding, std::vector<int64_t> window, std::vector<int64_t> stride,
                         std::vector<int64_t> dilation, std::vector<int64_t> low, std::vector<int64_t> high) {
  bp_pool_attrs a{};
  a.size = sizeof(a);
  a.kind = kind;
  a.spatial_rank = static_cast<uint32_t>(window.size());
  a.count_padding = count_padding;
  for (size_t i = 0; i < window.size(); ++i) {
    a.window[i] = window[i];
    a.stride[i] = stride[i];
    a.dilation[i] = dilation[i];
    a.pad_low[i] = low[i];
    a.pad_high[i] = high[i];
  }
  return a;
}

Shape pooled(const Shape& x, const bp_pool_attrs& a) {
  Shape y{x[0], x[1]};
  for (uint32_t i = 0; i < a.spatial_rank; ++i) {
    y.push_back(sdk::rules::window_positions(x[2 + i], a.window[i], a.stride[i], a.dilation[i], a.pad_low[i], a.pad_high[i]));
  }
  return y;
}

TEST(ReferencePool, MatchesTheFormula) {
  const Shape x_shape{2, 3, 7, 8};
  for (uint32_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    for (uint32_t counts : {0u, 1u}) {
      const bp_pool_attrs a = pool_attrs(kind, counts, {3, 2}, {2, 1}, {1, 2}, {2, 1}, {1, 0});
      const Shape y_shape = pooled(x_shape, a);
      const Tensor x = random_tensor(BP_F32, x_shape, 7);
      Case c{BP_OP_POOL, {x.scrambled()}, {Tensor(BP_F32, y_shape)}, &a};
      card().run(c);
      Shape p(4, 0);
      do {
        double sum = 0, max = -kInf;
        int inside = 0;
        for (int64_t i = 0; i < 3; ++i) {
          for (int64_t j = 0; j < 2; ++j) {
            const int64_t row = p[2] * 2 - 2 + i, column = p[3] - 1 + 2 * j;
            if (row < 0 || row >= 7 || column < 0 || column >= 8) continue;
            const double value = x.at({p[0], p[1], row, column});
            sum += value;
            max = std::max(max, value);
            ++inside;
          }
        }
        const double expected = kind == BP_POOL_MAX ? max : sum / (counts != 0 ? 6 : inside);
        ASSERT_FLOAT_EQ(c.outputs[0].at(p), static_cast<float>(expected));
      } while (next(p, y_shape));
    }
  }
}

TEST(ReferencePool, GradientsMatchDifferences) {
  for (uint32_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    for (uint32_t counts : {0u, 1u}) {
      const bp_pool_attrs a = pool_attrs(kind, counts, {2, 3, 2}, {1, 2, 2}, {1, 1, 2}, {1, 0, 1}, {0, 2, 1});
      const Shape x_shape{1, 2, 3, 4, 5};
      Tensor x(BP_F64, x_shape);
      for (int64_t i = 0; i < x.size(); ++i) x.set(i, static_cast<double>((i * 37) % 120) / 7);  // no ties
      const Tensor dy = random_tensor(BP_F64, pooled(x_shape, a), 9);
      Case forward{BP_OP_POOL, {x}, {Tensor(BP_F64, pooled(x_shape, a))}, &a};
      card().run(forward);
      Case grad{BP_OP_POOL_GRAD, {x, forward.outputs[0], dy}, {Tensor(BP_F64, x_shape)}, &a};
      card().run(grad);
      expect_near(grad.outputs[0], numeric_gradient(forward, 0, dy), 1e-7, "dx");
    }
  }
}

TEST(ReferencePool, TiesGoToTheFirstAndNaNWins) {
  const bp_pool_attrs a = pool_attrs(BP_POOL_MAX, 0, {3}, {3}, {1}, {0}, {0});
  const Tensor x(BP_F32, {1, 1, 6}, {5, 5, 5, 1, kNaN, 2});
  Case forward{BP_OP_POOL, {x}, {Tensor(BP_F32, {1, 1, 2})}, &a};
  card().run(forward);
  EXPECT_EQ(forward.outputs[0].at(0), 5);
  EXPECT_TRUE(std::isnan(forward.outputs[0].at(1)));
  Case grad{BP_OP_POOL_GRAD, {x, forward.outputs[0], Tensor(BP_F32, {1, 1, 2}, {10, 20})}, {Tensor(BP_F32, {1, 1, 6})}, &a};
  card().run(grad);
  EXPECT_THAT(grad.outputs[0].values(), ::testing::ElementsAre(10, 0, 0, 0, 20, 0));
}

}  // namespace
}  // namespace backplane::testing
