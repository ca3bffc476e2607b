// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "report/table.h"
#include "report/words.h"

namespace backplane::bench::report {

namespace {

TEST(Words, TimesHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(time_text(0.5), "0.500 ns");
  EXPECT_EQ(time_text(12.345), "12.3 ns");
  EXPECT_EQ(time_text(999.4), "999 ns");
  EXPECT_EQ(time_text(999.6), "1.00 µs");
  EXPECT_EQ(time_text(99'960), "100 µs");
  EXPECT_EQ(time_text(2.5e6), "2.50 ms");
  EXPECT_EQ(time_text(7.2e12), "7200 s");
}

TEST(Words, RatesChooseTheirUnit) {
  EXPECT_EQ(flop_rate_text(236.4), "236 GFLOP/s");
  EXPECT_EQ(flop_rate_text(7.4e5), "740 TFLOP/s");
  EXPECT_EQ(flop_rate_text(0.0125), "12.5 MFLOP/s");
  EXPECT_EQ(byte_rate_text(25.04), "25.0 GB/s");
  EXPECT_EQ(bytes_text(4096), "4 KiB");
  EXPECT_EQ(bytes_text(1536), "1.50 KiB");
}

TEST(Words, WhatIsNotThereIsADash) {
  EXPECT_EQ(time_text(std::nullopt), "—");
  EXPECT_EQ(time_text(0.0 / 0.0), "—");
  EXPECT_EQ(percent_text(std::nullopt), "—");
  EXPECT_EQ(error_text(std::nullopt), "—");
  EXPECT_EQ(text_or_absent(""), "—");
  EXPECT_EQ(spread_text(Row{}), "—");
}

TEST(Words, TicksAreShort) {
  EXPECT_EQ(time_tick(1000), "1 µs");
  EXPECT_EQ(time_tick(1500), "1.5 µs");
  EXPECT_EQ(time_tick(100'000), "100 µs");
  EXPECT_EQ(flop_rate_tick(10), "10 G");
  EXPECT_EQ(byte_rate_tick(2000), "2 T");
}

TEST(Words, AnErrorOfZeroIsNotAnAbsentOne) { EXPECT_EQ(error_text(0.0), "0"); }

TEST(Tables, AlignByColumnsOfTheTerminalNotByBytes) {
  EXPECT_EQ(terminal_text({{{"case"}, {"median", true}}, {{"a", "1 µs"}, {"bb", "—"}}}),
            "case  median\na       1 µs\nbb         —\n");
}

TEST(Tables, MarkdownKeepsItsCells) {
  EXPECT_EQ(markdown_text({{{"case"}, {"n", true}}, {{"a|b<c>\nd", "1"}}}),
            "| case | n |\n|---|---:|\n| a\\|b&lt;c> d | 1 |\n");
}

TEST(Tables, ColumnsWithNothingButDashesGo) {
  const Table table = without_empty_columns({{{"a"}, {"b"}, {"c"}}, {{"—", "—", "1"}, {"—", "—", "—"}}});
  ASSERT_EQ(table.columns.size(), 2u);
  EXPECT_EQ(table.columns[1].heading, "c");
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"—", "1"}));
}

}  // namespace

}  // namespace backplane::bench::report
