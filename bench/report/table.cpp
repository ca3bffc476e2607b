// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <algorithm>

#include "report/words.h"

namespace backplane::bench::report {

namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return right ? space + text : text + space;
}

}  // namespace

Table without_empty_columns(Table table) {
  for (size_t c = table.columns.size(); c-- > 1;) {
    const bool empty = std::all_of(table.rows.begin(), table.rows.end(), [&](auto& row) { return row[c] == kAbsent; });
    if (!empty || table.rows.empty()) continue;
    const auto at = static_cast<std::ptrdiff_t>(c);
    table.columns.erase(table.columns.begin() + at);
    for (auto& row : table.rows) row.erase(row.begin() + at);
  }
  return table;
}

std::string terminal_text(const Table& table) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    widths.push_back(width_of(table.columns[c].heading));
    for (const auto& row : table.rows) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string text;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c)
      line += (c > 0 ? "  " : "") + padded(cell_of(c), widths[c], table.columns[c].number);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line([&](size_t c) { return table.columns[c].heading; });
  for (const auto& row : table.rows) add_line([&](size_t c) { return row[c]; });
  return text;
}

std::string markdown_text(const Table& table) {
  std::string text = "|", line = "|";
  for (const Column& column : table.columns) {
    text += " " + markdown_cell(column.heading) + " |";
    line += column.number ? "---:|" : "---|";
  }
  text += "\n" + line + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const std::string& cell : row) text += " " + markdown_cell(cell) + " |";
    text += "\n";
  }
  return text;
}

std::string markdown_cell(std::string text) {
  replace_all(text, "\n", " ");
  replace_all(text, "|", "\\|");
  replace_all(text, "<", "&lt;");
  return text;
}

}  // namespace backplane::bench::report
