// SPDX-License-Identifier: Apache-2.0
// Tensors that are computed at once.
#include "frontend/support.h"

namespace backplane::tests {
namespace {

TEST(Eager, ArithmeticBroadcastsAsInNumPy) {
  const Tensor column = Tensor::from({1, 2}, {2, 1}), row = Tensor::from({10, 20, 30}, {3});
  const Tensor y = column + row;
  EXPECT_EQ(y.shape(), Shape({2, 3}));
  EXPECT_THAT(values(y), ElementsAre(11, 21, 31, 12, 22, 32));
  EXPECT_THAT(values(2.0 * column - 1), ElementsAre(1, 3));
  EXPECT_THAT(values(row / 10), ElementsAre(1, 2, 3));
}

TEST(Eager, DtypesPromoteAndNumbersNeverWiden) {
  const std::vector<int32_t> ints = {1, 2};
  const Tensor i = Tensor::from(ints, {2}), x = Tensor::from({0.5, 1.5}, {2});
  EXPECT_EQ((i + x).dtype(), f32);
  EXPECT_EQ((i + 1).dtype(), i32);
  EXPECT_EQ((x.to(f16) * 2.0).dtype(), f16);
  EXPECT_EQ((x.to(f16) + x.to(bf16)).dtype(), f32);
  EXPECT_EQ((x.to(f64) + x).dtype(), f64);
  EXPECT_EQ(less(x, 1.0).dtype(), boolean);
}

TEST(Eager, CompoundAssignmentRebindsTheName) {
  const Tensor x = Tensor::from({1, 2}, {2});
  Tensor y = x;
  y += 1;
  y *= 3;
  EXPECT_THAT(values(x), ElementsAre(1, 2));
  EXPECT_THAT(values(y), ElementsAre(6, 9));
}

TEST(Eager, SlicesCountFromTheEndAndStep) {
  const Tensor x = arange(10, f32);
  EXPECT_THAT(values(slice(x, 0, 2, 9, 3)), ElementsAre(2, 5, 8));
  EXPECT_THAT(values(slice(x, 0, -3, 10)), ElementsAre(7, 8, 9));
  EXPECT_THAT(values(flip(slice(x, 0, 0, 3), {0})), ElementsAre(2, 1, 0));
  EXPECT_THAT(values(slice(reshape(x, {2, 5}), 1, 1, -1, 2)), ElementsAre(1, 3, 6, 8));
}

TEST(Eager, ShapesChangeWithoutChangingValues) {
  const Tensor x = reshape(arange(6, f32), {2, 3});
  EXPECT_THAT(values(transpose(x)), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(permute(reshape(x, {1, 2, 3}), {2, 0, 1}).shape(), Shape({3, 1, 2}));
  EXPECT_EQ(unsqueeze(x, 1).shape(), Shape({2, 1, 3}));
  EXPECT_EQ(squeeze(unsqueeze(x, 1), 1).shape(), Shape({2, 3}));
  EXPECT_EQ(flatten(reshape(x, {2, 3, 1})).shape(), Shape({2, 3}));
  const Tensor parts[] = {x, x * 10};
  EXPECT_THAT(values(concat(parts, 1)), ElementsAre(0, 1, 2, 0, 10, 20, 3, 4, 5, 30, 40, 50));
  EXPECT_EQ(stack(parts, 0).shape(), Shape({2, 2, 3}));
  EXPECT_THAT(values(pad(slice(x, 0, 0, 1), {0, 1}, {0, 1}, 7)), ElementsAre(7, 0, 1, 2, 7));
}

TEST(Eager, ReductionsTakeAxesFromEitherEnd) {
  const Tensor x = reshape(arange(6, f32), {2, 3});
  EXPECT_EQ(sum(x).item(), 15);
  EXPECT_EQ(sum(x).rank(), 0);
  EXPECT_THAT(values(sum(x, {0})), ElementsAre(3, 5, 7));
  EXPECT_THAT(values(mean(x, {-1})), ElementsAre(1, 4));
  EXPECT_EQ(max(x, {1}, true).shape(), Shape({2, 1}));
  EXPECT_THAT(values(argmax(x * Tensor::from({1, -1}, {2, 1}), 1)), ElementsAre(2, 0));
  expect_near(softmax(Tensor::from({0, 0, 0, 0}, {2, 2})), {0.5, 0.5, 0.5, 0.5});
}

TEST(Eager, WhereAndComparisonsChoose) {
  const Tensor x = Tensor::from({-1, 0, 2}, {3});
  EXPECT_THAT(values(where(greater(x, 0), x, -x)), ElementsAre(1, 0, 2));
  EXPECT_THAT(values(relu(x)), ElementsAre(0, 0, 2));
  EXPECT_THAT(values(clip(x, -0.5, 1)), ElementsAre(-0.5, 0, 1));
  EXPECT_THAT(less_equal(x, 0).to_vector<uint8_t>(), ElementsAre(1, 1, 0));
}

TEST(Eager, MatmulBatches) {
  const Tensor a = reshape(arange(12, f32), {2, 2, 3}), b = ones({3, 1});
  EXPECT_EQ(matmul(a, b).shape(), Shape({2, 2, 1}));
  EXPECT_THAT(values(matmul(a, b)), ElementsAre(3, 12, 21, 30));
}

TEST(Eager, GatherAndOneHot) {
  const std::vector<int32_t> at = {2, 0};
  const Tensor table = reshape(arange(6, f32), {3, 2}), indices = Tensor::from(at, {2});
  EXPECT_THAT(values(gather(table, indices)), ElementsAre(4, 5, 0, 1));
  EXPECT_THAT(values(embedding(table, indices)), ElementsAre(4, 5, 0, 1));
  EXPECT_THAT(values(one_hot(indices, 3)), ElementsAre(0, 0, 1, 1, 0, 0));
}

TEST(Eager, SortingGivesValuesAndWhereTheyWere) {
  const Tensor x = Tensor::from({3, 1, 2, 1, 5, 4}, {2, 3});
  const Sorted rows = sort(x);
  EXPECT_THAT(values(rows.values), ElementsAre(1, 2, 3, 1, 4, 5));
  EXPECT_THAT(rows.indices.to_vector<int32_t>(), ElementsAre(1, 2, 0, 0, 2, 1));
  EXPECT_THAT(values(sort(x, 0, true).values), ElementsAre(3, 5, 4, 1, 1, 2));
  const Sorted best = top_k(x, 2);
  EXPECT_THAT(values(best.values), ElementsAre(3, 2, 5, 4));
  EXPECT_THAT(best.indices.to_vector<int32_t>(), ElementsAre(0, 2, 1, 2));
  EXPECT_THAT(values(top_k(x, 1, 0, false).values), ElementsAre(1, 1, 2));
  try {
    top_k(x, 4);
    ADD_FAILURE() << "four of three elements";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("[top_k]"), HasSubstr("k = 4 is more than the 3 elements")));
  }
}

TEST(Eager, BytesGoInAndOutUnchanged) {
  const Tensor x = Tensor::from({1.5, -2}, {2}).to(f16);
  const Tensor y = Tensor::from_bytes(x.to_bytes(), x.type());
  EXPECT_EQ(y.dtype(), f16);
  EXPECT_THAT(values(y), ElementsAre(1.5, -2));
  EXPECT_THAT(x.to_string(), HasSubstr("f16[2]"));
}

TEST(Eager, EightBitFloatsStoreAndMultiply) {
  const Tensor x = Tensor::from({1.3, 500, -3, 0.5}, {2, 2}).requires_grad(), w = Tensor::from({1, -2, 0.07, 4}, {2, 2});
  const Tensor small = x.to(f8_e5m2);
  EXPECT_THAT(values(small), ElementsAre(1.25, 512, -3, 0.5));
  EXPECT_THAT(values(full({2}, 1.3, f8_e4m3)), ElementsAre(1.25, 1.25));
  EXPECT_THAT(small.to_string(), HasSubstr("f8_e5m2[2,2]"));
  EXPECT_THAT(values(Tensor::from_bytes(small.to_bytes(), small.type())), ElementsAre(1.25, 512, -3, 0.5));
  const Tensor y = matmul(small, w.to(f8_e5m2));
  EXPECT_EQ(y.dtype(), f32);
  EXPECT_THAT(values(y), ElementsAre(1.25 + 32, -2.5 + 2048, -3 + 0.03125, 6 + 2));
  sum(y).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(-1, 4.0625, -1, 4.0625));  // of w as it was stored
  EXPECT_EQ((small + x).dtype(), f32);
  EXPECT_THAT(message_of([&] { small + small; }), HasSubstr("f8_e5m2"));
  EXPECT_THAT(message_of([&] { less(small, small); }), HasSubstr("8-bit floats"));
}

TEST(Eager, EmptyTensorsAreTensors) {
  const Tensor none = zeros({0, 3});
  EXPECT_EQ(none.elements(), 0);
  EXPECT_THAT(values(sum(none, {0})), ElementsAre(0, 0, 0));
  EXPECT_EQ((none + 1).shape(), Shape({0, 3}));
}

TEST(Random, OneSeedGivesOneSequence) {
  manual_seed(7);
  const std::vector<float> first = values(random_uniform({100})), second = values(random_uniform({100}));
  manual_seed(7);
  EXPECT_EQ(values(random_uniform({100})), first);
  EXPECT_EQ(values(random_uniform({100})), second);
  EXPECT_NE(first, second);
  for (const float v : first) {
    EXPECT_GE(v, 0);
    EXPECT_LT(v, 1);
  }
}

TEST(Random, DropoutKeepsTheMean) {
  manual_seed(1);
  const std::vector<float> y = values(dropout(ones({4000}), 0.25));
  int zeros = 0;
  for (const float v : y) {
    zeros += v == 0;
    EXPECT_TRUE(v == 0 || std::abs(v - 1 / 0.75f) < 1e-6f);
  }
  EXPECT_NEAR(zeros, 1000, 120);  // four standard deviations
}

}  // namespace
}  // namespace backplane::tests
