// SPDX-License-Identifier: Apache-2.0
// Runs in files. JSON has Google Benchmark's schema ("context", "benchmarks" with name, real_time, time_unit ...), so
// that its tools read it; everything of ours is below the key "backplane" there, and only that is read back. Rows without
// a time stand apart, because those tools expect one of every row. JSONL is
// for runs in progress: a header line, then one row a line; a last line that was cut off is ignored.
//
// Unknown fields are ignored; another schema version is refused. Both forms read back exactly what was written.
#pragma once

#include <string>
#include <string_view>

#include "report/results.h"

namespace backplane::bench::report {

std::string to_json(const Run& run);

/// The first line of JSONL: all of a run but its rows. Ends with a newline, as every line does. A later header (more
/// ceilings, the load at the end) replaces an earlier one.
std::string jsonl_header(const Run& run);
std::string jsonl_row(const Row& row);

/// Either form, told apart by its content. `where` is for messages. Throws Error. Of rows with one identity in JSONL
/// both are kept.
Run parse_run(std::string_view text, const std::string& where);
Run read_run(const std::string& path);

}  // namespace backplane::bench::report
