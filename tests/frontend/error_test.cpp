// SPDX-License-Identifier: Apache-2.0
// What people are told: op, operands, their own line, and what to do.
#include "frontend/support.h"

namespace backplane::tests {
namespace {

TEST(Errors, AShapeMismatchShowsOperandsAndLine) {
  const Tensor a = ones({2, 3}), b = ones({4, 5});
  std::string line;
  const std::string text = message_of([&] {
    line = next_line();
    matmul(a, b);
  });
  EXPECT_THAT(text, HasSubstr("[matmul]"));
  EXPECT_THAT(text, HasSubstr("f32[2,3]"));
  EXPECT_THAT(text, HasSubstr("f32[4,5]"));
  EXPECT_THAT(text, HasSubstr(line));
}

TEST(Errors, OperatorsKnowTheirLineToo) {
  const Tensor a = ones({2, 3}), b = ones({4});
  std::string line;
  const std::string text = message_of([&] {
    line = next_line();
    a + b;
  });
  EXPECT_THAT(text, HasSubstr("f32[2,3]"));
  EXPECT_THAT(text, HasSubstr("f32[4]"));
  EXPECT_THAT(text, HasSubstr(line));
}

TEST(Errors, GraphsAndTracesSayTheSame) {
  const Tensor a = ones({2, 3});
  std::string line;
  auto f = compile([&](const Tensor& x) {
    line = next_line();
    return matmul(x, x);
  });
  const std::string traced = message_of([&] { f(a); });
  EXPECT_THAT(traced, HasSubstr("[matmul]"));
  EXPECT_THAT(traced, HasSubstr(line));
  Graph graph;
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {dyn, 3}, "x");
  const std::string built = message_of([&] {
    line = next_line();
    matmul(x, ones({4, 2}));
  });
  EXPECT_THAT(built, HasSubstr("f32[?,3]"));
  EXPECT_THAT(built, HasSubstr(line));
}

/// Every case: what is done, and words the message has to have.
struct Case {
  const char* name;
  std::function<void()> action;
  std::vector<std::string> words;
};

const Case kCases[] = {
    {"sqrt_of_integers", [] { sqrt(ones({2}, i32)); }, {"sqrt", "i32[2]", "error_test.cpp"}},
    {"reshape_to_another_size",
     [] {
       reshape(ones({2, 3}), {4});
     },
     {"reshape", "f32[2,3]", "[4]", "error_test.cpp"}},
    {"permute_with_a_repeated_axis",
     [] {
       permute(ones({2, 3}), {0, 0});
     },
     {"permute", "f32[2,3]"}},
    {"axis_out_of_range",
     [] {
       sum(ones({2, 3}), {2});
     },
     {"[sum]", "f32[2,3]", "axis 2", "-2 to -1", "error_test.cpp"}},
    {"concat_of_different_extents",
     [] {
       const Tensor xs[] = {ones({2, 3}), ones({2, 4})};
       concat(xs, 0);
     },
     {"concat", "f32[2,3]", "f32[2,4]", "error_test.cpp"}},
    {"convolution_with_wrong_channels",
     [] {
       convolution(ones({1, 3, 8, 8}), ones({4, 2, 3, 3}));
     },
     {"convolution", "f32[1,3,8,8]", "f32[4,2,3,3]", "error_test.cpp"}},
    {"logits_and_labels_of_different_length",
     [] {
       sparse_cross_entropy(ones({4, 10}), zeros({3}, i32));
     },
     {"sparse_cross_entropy", "f32[4,10]", "i32[3]"}},
    {"expand_of_a_real_extent",
     [] { expand(ones({2}), {3}); },
     {"expand", "f32[2]", "extent 2 to 3", "error_test.cpp"}},
    {"gather_with_float_indices",
     [] {
       gather(ones({3, 2}), ones({2}));
     },
     {"gather", "f32[2]"}},
    {"data_that_does_not_fill_its_shape",
     [] {
       Tensor::from({1, 2, 3}, {2, 2});
     },
     {"3", "[2,2]"}},
    {"item_of_many", [] { ones({3}).item(); }, {"item", "f32[3]", "error_test.cpp"}},
    {"an_undefined_tensor", [] { Tensor() + 1; }, {"undefined"}},
    {"assigning_another_shape",
     [] { Variable(ones({2}), "weights").assign(ones({3})); },
     {"weights", "f32[2]", "f32[3]", "error_test.cpp"}},
    {"division_of_dtypes_that_do_not_fit", [] { where(ones({2}), ones({2}), zeros({2})); }, {"where", "f32[2]"}},
};

class ErrorText : public ::testing::TestWithParam<Case> {};
TEST_P(ErrorText, NamesWhatIsWrong) {
  const std::string text = message_of(GetParam().action);
  for (const std::string& word : GetParam().words) EXPECT_THAT(text, HasSubstr(word));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("internal:")));
}
INSTANTIATE_TEST_SUITE_P(All, ErrorText, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Errors, AnUnknownDeviceIsAnsweredWithWhatThereIs) {
  const std::string text = message_of([] { Device("warp_drive:3"); });
  EXPECT_THAT(text, HasSubstr("warp_drive"));
  EXPECT_THAT(text, HasSubstr("reference"));
  EXPECT_THAT(message_of([] { Device("reference:7"); }), HasSubstr("reference:7"));
  EXPECT_NE(message_of([] { Device("reference:0:0:,,"); }), "");
}

}  // namespace
}  // namespace backplane::tests
