// SPDX-License-Identifier: Apache-2.0
// BACKPLANE_PASSES and BACKPLANE_DUMP: everything is understood or an error that names what there is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "passes/passes.h"

namespace backplane::graph {
namespace {

using testing::HasSubstr;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

TEST(PassConfig, EmptyMeansEverything) {
  for (const Pass& pass : pipeline()) EXPECT_TRUE(PassConfig::parse("").enabled(pass.name)) << pass.name;
}

TEST(PassConfig, WordsAreReadInOrder) {
  EXPECT_FALSE(PassConfig::parse("-cse").enabled("cse"));
  EXPECT_TRUE(PassConfig::parse("-cse").enabled("simplify"));
  const PassConfig only = PassConfig::parse(" none , cse ");
  EXPECT_TRUE(only.enabled("cse"));
  EXPECT_FALSE(only.enabled("fuse_pointwise"));
  EXPECT_TRUE(PassConfig::parse("none,all").enabled("fuse_pointwise"));
}

TEST(PassConfig, NoneSwitchesOffExactlyWhatIsOptional) {
  const PassConfig none = PassConfig::none();
  for (const Pass& pass : pipeline()) EXPECT_EQ(none.enabled(pass.name), !pass.optional) << pass.name;
}

TEST(PassConfig, ATypoNamesTheNearestPass) {
  const std::string error = error_of([] { PassConfig::parse("-simplfy"); });
  EXPECT_THAT(error, HasSubstr("BACKPLANE_PASSES"));
  EXPECT_THAT(error, HasSubstr("'simplfy'"));
  EXPECT_THAT(error, HasSubstr("did you mean 'simplify'"));
}

TEST(PassConfig, APassThatPlansNeedStaysOn) {
  EXPECT_THAT(error_of([] { PassConfig::parse("-prune"); }), HasSubstr("'prune' cannot be switched off"));
}

TEST(DumpConfig, NamesAndAll) {
  EXPECT_FALSE(DumpConfig::parse("").any());
  EXPECT_TRUE(DumpConfig::parse("pass:cse,simplify").text_after("cse"));
  EXPECT_TRUE(DumpConfig::parse("pass:cse,simplify").text_after("simplify"));
  EXPECT_FALSE(DumpConfig::parse("pass:cse").text_after("prune"));
  EXPECT_TRUE(DumpConfig::parse("all").text_after("prune"));
  EXPECT_THAT(error_of([] { DumpConfig::parse("pass:csee"); }), HasSubstr("did you mean 'cse'"));
}

}  // namespace
}  // namespace backplane::graph
