// SPDX-License-Identifier: Apache-2.0
// A run in the forms that people and programs read. What was not measured is "—" (in CSV: an empty field with a
// status).
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "report/results.h"

namespace backplane::bench::report {

/// Plain text with aligned columns; lines may be long.
std::string terminal(const Run& run);
/// One line a row, every field of it but the samples; headings carry the units. RFC 4180, UTF-8.
std::string csv(const Run& run);
std::string markdown(const Run& run);
/// One self-contained page: no network, no script, below 2 MB for 5,000 rows.
std::string html(const Run& run);

/// All of these but the terminal's, and JSON, as results.* in a folder, which is made. Throws Error.
void write_reports(const Run& run, const std::filesystem::path& folder);

/// `backplane bench report results.json [more.json ...] [--output FOLDER]`; `args` begin behind "report". Returns 0, 2
/// for arguments without sense, 4 for files that cannot be read or written.
int report_main(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace backplane::bench::report
