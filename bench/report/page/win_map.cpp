// SPDX-License-Identifier: Apache-2.0
// Which variant is the fastest, over M x N: a small table for every device, op, dtype and rest of the shape.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

constexpr size_t kFewestCells = 4;

struct Map {
  std::map<std::pair<int64_t, int64_t>, const Row*> winners;  ///< by M and N
  std::set<int64_t> rows, columns;
};

/// "A" ... "Z", then "A1" ...: a letter besides the colour, for those who do not tell the colours apart.
std::string letter(size_t index) {
  const std::string text(1, static_cast<char>('A' + index % 26));
  return index < 26 ? text : text + std::to_string(index / 26);
}

/// What does not vary over the map: "K 512".
std::string rest_of_shape(const Row& row) {
  std::string text;
  for (const auto& [name, value] : row.dimensions)
    if (name != "M" && name != "N") text += fmt::format(" {} {}", name, value);
  return row.attributes.empty() ? text : text + " " + row.attributes;
}

/// `names` of variants, in the order in which they first win; shared by all maps of a device and op, so that a letter
/// means the same in all of them.
std::string drawn(const Map& map, std::vector<std::string>& names) {
  std::set<size_t> seen;
  std::string body = "<table class=\"wins\">\n<thead><tr><th scope=\"col\">M \\ N</th>";
  for (const int64_t n : map.columns) body += fmt::format("<th scope=\"col\">{}</th>", n);
  body += "</tr></thead>\n<tbody>\n";
  for (const int64_t m : map.rows) {
    body += fmt::format("<tr><th scope=\"row\">{}</th>", m);
    for (const int64_t n : map.columns) {
      const auto found = map.winners.find({m, n});
      if (found == map.winners.end()) {
        body += "<td class=\"none\">—</td>";
        continue;
      }
      const Row& row = *found->second;
      auto name = std::find(names.begin(), names.end(), row.variant);
      if (name == names.end()) name = names.insert(name, row.variant);
      const auto index = static_cast<size_t>(name - names.begin());
      seen.insert(index);
      body += fmt::format("<td class=\"win {}\"><b>{}</b><small>{}</small></td>", colour_class(index), letter(index),
                          time_text(row.median_ns));
    }
    body += "</tr>\n";
  }
  body += "</tbody>\n</table>\n<ul class=\"names\">";
  for (const size_t i : seen)
    body += fmt::format("<li><b class=\"{}\">{}</b> {}</li>", colour_class(i), letter(i), escaped(names[i]));
  return scrolling(body + "</ul>\n");
}

}  // namespace

std::string win_map_section(const Page& page) {
  using Key = std::tuple<size_t, std::string, std::string, std::string>;  // device, op, dtype, rest of the shape
  std::map<Key, Map> maps;
  for (const CaseRows& c : page.cases) {
    const auto m = dimension(*c.first, "M"), n = dimension(*c.first, "N");
    if (!m || !n) continue;
    for (size_t d = 0; d < c.on.size(); ++d) {
      const Row* fastest = c.on[d].fastest();
      // Without rivals there is nothing to win.
      if (!fastest || fastest->variant.empty() || (c.on[d].variants.empty() && !c.on[d].tuned)) continue;
      Map& map = maps[{d, c.op, c.dtype, rest_of_shape(*c.first)}];
      map.winners[{*m, *n}] = fastest;
      map.rows.insert(*m), map.columns.insert(*n);
    }
  }
  std::string figures;
  std::map<std::pair<size_t, std::string>, std::vector<std::string>> names;
  for (const auto& [key, map] : maps) {
    if (map.winners.size() < kFewestCells || map.rows.size() < 2 || map.columns.size() < 2) continue;
    const auto& [device, op, dtype, rest] = key;
    figures +=
        figure(device_name(page, device) + " " + escaped(op + " " + dtype + rest), drawn(map, names[{device, op}]));
  }
  return section(
      "wins", "Which variant wins",
      "The fastest of all variants that were measured, with its median time; M downwards, N to the right. A map of one "
      "colour needs no tuner.",
      grid(figures));
}

}  // namespace backplane::bench::report::page
