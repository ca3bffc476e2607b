// SPDX-License-Identifier: Apache-2.0
// `backplane tune export`, `import` and `clear`.
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "backplane/graph/runtime.h"
#include "backplane/host/error.h"
#include "backplane/io/atomic_file.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

autotune::Store::Filter filter_of(const TuneQuery& query) {
  autotune::Store::Filter filter;
  if (!query.device.empty())
    filter.device = autotune::Fingerprint::of(*use_device(query.device).stream()->device()).device;
  filter.operation = query.op;
  return filter;
}

std::string read_all(const std::string& file) {
  if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream in(file, std::ios::binary);
  if (!in) throw CommandError(ExitCode::file, "[import] " + file + " cannot be read / backplane tune export makes one");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

ExitCode run_tune_export(const TuneQuery& query) {
  const auto store = open_store(autotune::Store::Access::read);
  const std::vector<autotune::Record> records = store->records(filter_of(query));
  const std::string text = autotune::to_json(records);
  if (query.file == "-") {
    fmt::print("{}", text);
    return ExitCode::ok;
  }
  io::AtomicFile out("export", query.file);
  out.write(std::as_bytes(std::span(text)));
  out.commit();
  fmt::print("{} problems written to {}\n", records.size(), query.file);
  return ExitCode::ok;
}

ExitCode run_tune_import(const TuneQuery& query) {
  std::vector<autotune::Record> records;
  try {
    records = autotune::from_json(read_all(query.file));
  } catch (const host::Error& error) {
    throw CommandError(ExitCode::file, error.what());
  }
  const auto store = open_store(autotune::Store::Access::write);
  if (!store->put(records)) throw CommandError(ExitCode::file, "[import] " + store->trouble());
  fmt::print("{} problems imported into {}\n", records.size(), store->file().string());
  return ExitCode::ok;
}

ExitCode run_tune_clear(const TuneQuery& query) {
  const autotune::Store::Filter filter = filter_of(query);
  const auto store = open_store(autotune::Store::Access::read);  // nothing is made to be cleared
  fmt::print("{} problems removed from {}\n", store->clear(filter), store->file().string());
  return ExitCode::ok;
}

}  // namespace backplane::cli
