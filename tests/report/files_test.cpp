// SPDX-License-Identifier: Apache-2.0
// What is written is read back exactly, by us and by Google Benchmark's schema; what cannot be read says why.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "report/made_up_run.h"
#include "report/results_json.h"

namespace backplane::bench::report {

namespace {

using testing::HasSubstr;

std::string as_lines(const report::Run& run) {
  std::string text = jsonl_header(run);
  for (const Row& row : run.rows) text += jsonl_row(row);
  return text;
}

std::string refusal(std::string_view text) {
  try {
    parse_run(text, "old.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

TEST(Files, JsonIsReadBackExactly) {
  const report::Run run = made_up_run();
  EXPECT_EQ(parse_run(to_json(run), "test"), run);
}

TEST(Files, LinesAreReadBackExactly) {
  const report::Run run = made_up_run();
  EXPECT_EQ(parse_run(as_lines(run), "test"), run);
}

TEST(Files, EveryBitOfATimeSurvives) {
  report::Run run;
  Row& row = run.rows.emplace_back();
  row.median_ns = 0.1 + 0.2;
  row.samples_ns = {1e-300, 1.0 / 3.0, 123456789.123456789};
  EXPECT_EQ(parse_run(to_json(run), "test").rows[0].samples_ns, row.samples_ns);
  EXPECT_EQ(parse_run(to_json(run), "test").rows[0].median_ns, row.median_ns);
}

TEST(Files, ALineCutOffIsNoRow) {
  const report::Run run = made_up_run();
  std::string text = as_lines(run);
  text.resize(text.size() - 10);
  EXPECT_EQ(parse_run(text, "test").rows.size(), run.rows.size() - 1);
}

TEST(Files, ALaterHeaderReplacesTheFirstAndKeepsTheRows) {
  report::Run run = made_up_run();
  std::string text = as_lines(run);
  run.environment.load_end = 7;
  text += jsonl_header(run);
  EXPECT_EQ(parse_run(text, "test"), run);
}

TEST(Files, UnknownFieldsAreIgnored) {
  nlohmann::json json = nlohmann::json::parse(to_json(made_up_run()));
  json["context"]["backplane"]["colour"] = "blue";
  json["benchmarks"][0]["backplane"]["colour"] = {1, 2};
  json["benchmarks"][0]["other"] = 3;
  // Without order of keys named dimensions come back sorted, so only the count is compared.
  EXPECT_EQ(parse_run(json.dump(), "test").rows.size(), made_up_run().rows.size());
}

TEST(Files, AnotherSchemaIsRefusedPolitely) {
  nlohmann::json json = nlohmann::json::parse(to_json(made_up_run()));
  json["context"]["backplane"]["schema"] = 0;
  json["benchmarks"][0]["backplane"]["status"] = "word of another time";
  EXPECT_THAT(refusal(json.dump()), HasSubstr("[bench] old.json: results have schema 0, this version reads 1"));
}

TEST(Files, WhatIsNoResultSaysSo) {
  EXPECT_THAT(refusal("{\"context\": {}, \"benchmarks\": []}"), HasSubstr("no results of `backplane bench`"));
  EXPECT_THAT(refusal("PNG"), HasSubstr("[bench] old.json: damaged"));
  EXPECT_THAT(refusal(""), HasSubstr("damaged"));
  EXPECT_THAT(refusal(R"({"context":{"backplane":{"schema":1}},"benchmarks":[{"backplane":{"status":"bright"}}]})"),
              HasSubstr("'bright' is not known"));
  EXPECT_THROW(read_run("/nowhere/old.json"), Error);
}

TEST(Files, GoogleBenchmarksToolsFindTheirFields) {
  const report::Run run = made_up_run();
  const nlohmann::json json = nlohmann::json::parse(to_json(run));
  EXPECT_EQ(json["context"]["date"], run.started);
  size_t timed = 0, others = 0;
  for (const Row& row : run.rows) {
    if (!row.median_ns) {
      EXPECT_EQ(json["backplane_without_time"].at(others++)["backplane"]["reason"], row.reason);
      continue;
    }
    const nlohmann::json& entry = json["benchmarks"].at(timed++);
    EXPECT_EQ(entry["run_type"], "iteration");
    EXPECT_EQ(entry["real_time"], *row.median_ns);
    EXPECT_TRUE(entry.contains("cpu_time"));
    EXPECT_EQ(entry["time_unit"], "ns");
  }
  EXPECT_EQ(json["benchmarks"].size(), timed) << "their compare.py expects a time of every row";
  EXPECT_GT(others, 0u);
}

}  // namespace

}  // namespace backplane::bench::report
