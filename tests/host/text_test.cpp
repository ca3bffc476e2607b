// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/text.h"

#include <gtest/gtest.h>

namespace backplane::host {
namespace {

TEST(Text, NearestSpelling) {
  const std::vector<std::string> names = {"cuda", "vulkan", "opencl", "cpu", "reference"};
  EXPECT_EQ(nearest("cuad", names), "cuda");
  EXPECT_EQ(nearest("Vulcan", names), "vulkan");
  EXPECT_EQ(nearest("opnecl", names), "opencl");
  EXPECT_EQ(nearest("refrence", names), "reference");
  EXPECT_EQ(nearest("metal", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest(std::string(100000, 'c'), names), "");
}

TEST(Text, Globs) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*H100*", "NVIDIA h100 PCIe"));
  EXPECT_TRUE(glob_match("a?c*", "abc"));
  EXPECT_FALSE(glob_match("a?c", "ac"));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_FALSE(glob_match(std::string(2000, '*') + "x", std::string(20000, 'a')));  // not exponential
}

TEST(Text, Cleaning) {
  EXPECT_TRUE(is_clean_text("Größe \xe2\x89\xa4 8"));
  for (const char* bad :
       {"\x1b[31m", "a\nb", "\x7f", "\xc2\x9b", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"}) {
    EXPECT_FALSE(is_clean_text(bad));
    EXPECT_TRUE(is_clean_text(clean_text(bad)));
  }
  EXPECT_EQ(clean_text("\xe2\x82\xac\xe2\x82\xac", 4), "\xe2\x82\xac...");  // never cut inside a character
}

TEST(Text, SplitJoinTrimHex) {
  EXPECT_EQ(split("a,,b", ',').size(), 3u);
  EXPECT_EQ(split("", ',').size(), 1u);
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(trim(" \t a b \n"), "a b");
  EXPECT_EQ(hex(0xabc), "0000000000000abc");
  EXPECT_EQ(hash64(""), 0xcbf29ce484222325u);
  EXPECT_EQ(hash64("a"), 0xaf63dc4c8601ec8cu);  // published FNV-1a value
}

}  // namespace
}  // namespace backplane::host
