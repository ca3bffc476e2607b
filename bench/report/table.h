// SPDX-License-Identifier: Apache-2.0
// Rows and columns of text, and how a terminal and Markdown show them.
#pragma once

#include <string>
#include <vector>

namespace backplane::bench::report {

struct Column {
  std::string heading;
  bool number = false;  ///< aligned to the right
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  ///< as many cells as there are columns
};

/// Columns in which every cell is "—" are left out, unless they are the first.
Table without_empty_columns(Table table);

std::string terminal_text(const Table& table);
std::string markdown_text(const Table& table);
/// Text that stands in a cell of Markdown: one line, no bar, nothing that HTML would take for a tag.
std::string markdown_cell(std::string text);

}  // namespace backplane::bench::report
