// SPDX-License-Identifier: Apache-2.0
#include "suite.h"

#include <gmock/gmock.h>

#include <set>

#include "plan_jobs.h"
#include "program_job.h"

namespace backplane::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    for (const SuiteLine& line : parse_suite(text, "folder/some.suite").lines) expand(line, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Suite, GivesEveryCombination) {
  const Suite suite = parse_suite(
      "# products\n\nbudget 2m\nbatch_matmul name=matmul in=MxK,KxN M=8-32*2 N=M K=4,5 dtypes=f32,f16  # all\n",
      "folder/some.suite");
  EXPECT_EQ(suite.name, "some");
  EXPECT_EQ(suite.budget_s, 120);
  const std::vector<Case> cases = expand(suite.lines.at(0), {});
  ASSERT_EQ(cases.size(), 12u);
  EXPECT_EQ(cases[0].name, "matmul/M=8,N=8,K=4");
  EXPECT_EQ(cases[1].dtype, DType::f16);
  EXPECT_EQ(cases[11].operands[1].type.shape, (Shape{5, 32}));
  EXPECT_DOUBLE_EQ(cases[0].cost().flops, 2.0 * 8 * 8 * 4);
}

TEST(Suite, NamesTheLineOfAMistake) {
  EXPECT_THAT(error_of("# a\nbatch_matmull in=2x2,2x2\n"),
              HasSubstr("some.suite:2: there is no op 'batch_matmull', did you mean batch_matmul"));
  EXPECT_THAT(error_of("batch_matmul in=MxK,KxN M=2\n"), HasSubstr("some.suite:1: 'K': there is no dimension"));
  EXPECT_THAT(error_of("batch_matmul in=2x3,2x3\n"), HasSubstr("some.suite:1: "));
  EXPECT_THAT(error_of("softmax in=2x3 axes=1\n"), HasSubstr("'axes' is no attribute of softmax; it has: axis"));
  EXPECT_THAT(error_of("softmax in=2x3 axis=one\n"), HasSubstr("some.suite:1: "));
  EXPECT_THAT(error_of("softmax in=2x3 in\n"), HasSubstr("'in' is not key=value"));
  EXPECT_THAT(error_of("softmax in=MxM M=2 M=3\n"), HasSubstr("'M' is said twice"));
  EXPECT_THAT(error_of("softmax in=2x3 dtypes=f33\n"), HasSubstr("some.suite:1: "));
  EXPECT_THAT(error_of("budget soon\n"), HasSubstr("some.suite:1: 'soon' is no time"));
  EXPECT_THAT(error_of("# nothing\n"), HasSubstr("has no lines"));
}

TEST(Suite, StoresABroadcastAxisOnce) {
  const Case c = expand(parse_line("normalize in=MxN,~MxN,~MxN kind=1 axes=1 M=4 N=8", "test"), {}).at(0);
  EXPECT_EQ(c.operands[1].type.shape, (Shape{4, 8}));
  EXPECT_EQ(c.operands[1].memory().shape, (Shape{1, 8}));
  EXPECT_EQ(c.operands[1].layout().strides[0], 0);
  EXPECT_EQ(c.attributes, "kind=1,axes=1");
}

TEST(Suite, ALineOfACaseGivesThatCaseAgain) {
  const SuiteLine line = parse_line(
      "convolution in=NxCxHxH,OxCxRxR pad_low=P,P pad_high=P,P groups=1 N=2 C=3 H=8,9 O=4 R=3 P=R/2", "test");
  const std::vector<Case> cases = expand(line, {});
  ASSERT_EQ(cases.size(), 2u);
  for (const Case& c : cases) {
    const std::vector<Case> again = expand(parse_line(c.line, "test"), {});
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].name, c.name);
    EXPECT_EQ(again[0].kernel_op().signature(), c.kernel_op().signature());
  }
}

TEST(Suite, TakesDimensionsAndDtypesOfTheCommandLine) {
  const SuiteLine line = parse_line("batch_matmul in=MxK,KxN M=8 N=M K=4", "test");
  const std::vector<Case> cases = expand(line, {parse_ranges("M=16,32"), {"f16"}});
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[1].name, "batch_matmul/M=32,N=32,K=4");
  EXPECT_EQ(cases[1].dtype, DType::f16);
  EXPECT_TRUE(expand(line, {parse_ranges("Q=16"), {}}).empty()) << "it has no such dimension";
}

TEST(Suite, AnOpWithoutAKernelOfItsOwnIsWhatTheGraphMakesOfIt) {
  EXPECT_EQ(expand(parse_line("gelu in=N N=16", "test"), {}).at(0).kernel_op().code, uint32_t{BP_OP_POINTWISE});
  const Case several = expand(parse_line("random_normal in=i32:4 shape=16", "test"), {}).at(0);
  EXPECT_THROW(several.kernel_op(), Error) << "more than one launch";
}

TEST(Duration, IsSecondsMinutesOrHours) {
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("1.5m"), 90);
  EXPECT_EQ(parse_duration("2h"), 7200);
  for (const char* text : {"", "m", "-3s", "0", "5 weeks"}) EXPECT_THROW(parse_duration(text), Error) << text;
}

class InstalledSuite : public ::testing::TestWithParam<const char*> {};

TEST_P(InstalledSuite, HasOnlyLinesThatMakeSense) {
  std::set<std::string> names;
  const Suite suite = read_suite(std::string(BACKPLANE_BENCH_SUITES) + "/" + GetParam() + ".suite");
  for (const SuiteLine& line : suite.lines) {
    if (find_program(line.op) != nullptr) continue;
    for (const Case& c : expand(line, {})) {
      EXPECT_TRUE(names.insert(c.name + " " + std::string(name_of(c.dtype))).second)
          << line.where << ": twice " << c.name;
      if (c.cost().bytes < 1e7) {
        EXPECT_NO_THROW(c.kernel_op()) << line.where;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, InstalledSuite,
                         ::testing::Values("smoke", "ops", "llm", "cnn", "edge", "models", "framework"));

}  // namespace
}  // namespace backplane::bench
