// SPDX-License-Identifier: Apache-2.0
#include "ops/ops_page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace backplane::test {
namespace {

TEST(OpsPage, IsWhatTheRegistrySays) {
  std::ifstream file(BACKPLANE_OPS_PAGE, std::ios::binary);
  ASSERT_TRUE(file) << BACKPLANE_OPS_PAGE << " cannot be read";
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == ops_page()) << "docs/ops.md is out of date: build and run write_ops_page";
}

}  // namespace
}  // namespace backplane::test
