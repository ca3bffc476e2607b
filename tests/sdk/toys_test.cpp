// SPDX-License-Identifier: Apache-2.0
// The two toys of plugin_api/template/, operation by operation against the reference card.
#include <memory>

#include "reference_card.hpp"

namespace backplane::testing {
namespace {

class Toys : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { toy_ = std::make_unique<Card>(GetParam()); }

  void expect_same(Case c, double tolerance = 1e-5) {
    ASSERT_EQ(toy_->query(c).verdict, BP_SUPPORT_YES) << toy_->query(c).reason;
    Case expected = c;
    card().run(expected);
    toy_->run(c);
    for (size_t j = 0; j < c.outputs.size(); ++j) {
      expect_near(c.outputs[j], expected.outputs[j].values(), tolerance, "toy");
    }
  }
  bool refuses(Case c) { return toy_->query(c).verdict == BP_SUPPORT_NO && toy_->query(c).reason[0] != '\0'; }

  std::unique_ptr<Card> toy_;
};

TEST_P(Toys, Pointwise) {
  Program p(3);
  const uint16_t sum = p.add(BP_S_ADD, BP_F32, 0, 1), tanh = p.add(BP_S_TANH, BP_F32, sum),
                 picked = p.add(BP_S_SELECT, BP_F32, 2, tanh, 0), whole = p.add(BP_S_CAST, BP_I32, picked);
  const Shape shape{4, 50, 3};
  expect_same({BP_OP_POINTWISE,
               {random_tensor(BP_F32, shape, 1).scrambled(), random_tensor(BP_F32, {3}, 2).broadcast(shape),
                random_tensor(BP_BOOL, shape, 3, 0, 2)},
               {Tensor(BP_F32, shape), Tensor(BP_I32, shape).scrambled()}, nullptr, p.done({picked, whole})});
}

TEST_P(Toys, Reduce) {
  for (uint32_t kind : {BP_REDUCE_SUM, BP_REDUCE_MAX}) {
    for (uint32_t axes : {0u, 1u, 2u, 5u, 7u}) {
      const bp_reduce_attrs attrs{sizeof(attrs), kind, axes, 0};
      Shape y{3, 4, 5};
      for (uint32_t i = 0; i < 3; ++i) {
        if ((axes >> i & 1) != 0) y[i] = 1;
      }
      for (uint32_t dtype : {BP_F32, BP_I32, BP_BOOL}) {
        if (dtype == BP_BOOL && kind == BP_REDUCE_SUM) continue;  // the catalogue has no such operation
        const Tensor x = random_tensor(dtype, {3, 4, 5}, 4, -9, 9);
        expect_same({BP_OP_REDUCE, {x.scrambled()}, {Tensor(dtype, y)}, &attrs});
      }
    }
  }
  const bp_reduce_attrs attrs{sizeof(attrs), BP_REDUCE_MAX, 2, 0};
  expect_same({BP_OP_REDUCE, {Tensor(BP_F32, {2, 0})}, {Tensor(BP_F32, {2, 1})}, &attrs});
  const bp_reduce_attrs product{sizeof(attrs), BP_REDUCE_PROD, 1, 0};
  EXPECT_TRUE(refuses({BP_OP_REDUCE, {Tensor(BP_F32, {2})}, {Tensor(BP_F32, {1})}, &product}));
}

TEST_P(Toys, Matmul) {
  const Tensor a = random_tensor(BP_F32, {2, 5, 7}, 1), b = random_tensor(BP_F32, {7, 4}, 2);
  expect_same({BP_OP_MATMUL, {a.scrambled(), b.broadcast({2, 7, 4})}, {Tensor(BP_F32, {2, 5, 4}).scrambled()}});
  expect_same({BP_OP_MATMUL, {Tensor(BP_F32, {2, 0}), Tensor(BP_F32, {0, 3})}, {Tensor(BP_F32, {2, 3})}});
  EXPECT_TRUE(refuses({BP_OP_MATMUL, {Tensor(BP_F64, {2, 2}), Tensor(BP_F64, {2, 2})}, {Tensor(BP_F64, {2, 2})}}));
}

TEST_P(Toys, GatherAndScatterAdd) {
  const Tensor indices(BP_I32, {5}, {2, -1, 0, 2, 3});
  for (uint32_t dtype : {BP_F32, BP_I32, BP_BOOL}) {
    expect_same({BP_OP_GATHER, {random_tensor(dtype, {2, 3, 4}, 1, 0, 9).scrambled(), indices},
                 {Tensor(dtype, {2, 5, 4})}});
  }
  const Tensor base = random_tensor(BP_F32, {2, 3, 4}, 2), updates = random_tensor(BP_F32, {2, 5, 4}, 3);
  expect_same({BP_OP_SCATTER_ADD, {base, indices, updates.scrambled()}, {Tensor(BP_F32, {2, 3, 4})}});
  expect_same({BP_OP_SCATTER_ADD, {base, indices, updates}, {base}, nullptr, nullptr, 0, 0});
}

TEST_P(Toys, RefuseWhatTheyCannotAndWhatIsMalformed) {
  const bp_axis_attrs axis{sizeof(axis), 0};
  EXPECT_TRUE(refuses({BP_OP_SOFTMAX, {Tensor(BP_F32, {2})}, {Tensor(BP_F32, {2})}, &axis}));
  EXPECT_TRUE(refuses({9999, {Tensor(BP_F32, {2})}, {Tensor(BP_F32, {2})}}));
  EXPECT_TRUE(refuses({BP_OP_POINTWISE, {Tensor(BP_F32, {2})}, {Tensor(BP_F32, {2})}}));  // no program
  EXPECT_TRUE(refuses({BP_OP_MATMUL, {Tensor(BP_F32, {2, 2})}, {Tensor(BP_F32, {2, 2})}}));
  Program bad(1);
  bad.add(BP_S_ADD, BP_F32, 0, 7);  // value 7 does not exist
  EXPECT_TRUE(refuses({BP_OP_POINTWISE, {Tensor(BP_F32, {2})}, {Tensor(BP_F32, {2})}, nullptr, bad.done({1})}));
}

INSTANTIATE_TEST_SUITE_P(C, Toys, ::testing::Values(TOY_C_PLUGIN));
INSTANTIATE_TEST_SUITE_P(Cpp, Toys, ::testing::Values(TOY_CPP_PLUGIN));

}  // namespace
}  // namespace backplane::testing
