// SPDX-License-Identifier: Apache-2.0
#include "journal.h"

#include "backplane/graph/types.h"
#include "cli/command.h"
#include "environment.h"
#include "report/results_json.h"

namespace backplane::bench {

bool is_final(const report::Row& row) {
  switch (row.status) {
    case report::Status::measured:
    case report::Status::refused:
    case report::Status::wrong:
    case report::Status::failed: return true;
    default: return false;
  }
}

Journal::Journal(const std::filesystem::path& folder, bool resume) : file_(folder / "results.jsonl") {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  out_.open(file_, resume ? std::ios::app : std::ios::trunc);
  if (!out_)
    throw cli::CommandError(cli::ExitCode::file,
                            "[bench] cannot write " + file_.string() + " / name another folder with --output");
}

void Journal::resume(report::Run& run, bool same) {
  if (std::filesystem::file_size(file_) == 0) return;
  report::Run earlier = report::read_run(file_.string());
  if (const std::string why = difference(earlier, run); !why.empty())
    throw Error("[bench] " + file_.string() + " is of " + why + "; name another folder, or leave out --resume");
  run.started = earlier.started;
  run.ceilings = std::move(earlier.ceilings);
  for (report::Row& row : earlier.rows) {
    const bool finished = is_final(row) || (same && row.status == report::Status::skipped);
    if (!finished || !done_.insert(report::identity(row)).second) continue;
    run.rows.push_back(std::move(row));
  }
}

void Journal::header(const report::Run& run) { write(report::jsonl_header(run)); }

void Journal::row(const report::Row& row) { write(report::jsonl_row(row)); }

void Journal::write(const std::string& line) {
  out_ << line << std::flush;
  if (!out_)
    throw cli::CommandError(cli::ExitCode::file, "[bench] cannot write " + file_.string() + " / is the disk full?");
}

}  // namespace backplane::bench
