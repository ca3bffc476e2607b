// SPDX-License-Identifier: Apache-2.0
// Sections that are tables over devices: the machine, op x device, case x device, what is supported.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

std::string device_heads(const Page& page) {
  std::string text;
  for (size_t d = 0; d < page.run.devices.size(); ++d) text += "<th scope=\"col\">" + device_name(page, d) + "</th>";
  return text;
}

std::string html_table(const Table& table) {
  std::string text = "<table class=\"plain\">\n<thead><tr>";
  for (const Column& c : table.columns)
    text += fmt::format("<th scope=\"col\"{}>{}</th>", c.number ? " class=\"n\"" : "", escaped(c.heading));
  text += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    text += "<tr>";
    for (size_t c = 0; c < row.size(); ++c)
      text += fmt::format("<td{}>{}</td>", table.columns[c].number ? " class=\"n\"" : "", escaped(row[c]));
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table>\n";
}

/// Share of the roofline that users get: geometric mean, and of how many cases.
std::string summary_cell(const Page& page, const std::string& op, size_t device) {
  std::vector<double> shares, gains;
  size_t timed = 0, cases = 0;
  for (const CaseRows& c : page.cases) {
    if (c.op != op || c.on[device].empty()) continue;
    ++cases;
    const Row* got = c.on[device].got();
    if (!got) continue;
    ++timed;
    if (got->roofline_share && *got->roofline_share > 0) shares.push_back(*got->roofline_share);
    if (const auto gain = c.on[device].gain()) gains.push_back(gain->value);
  }
  if (cases == 0) return "<td class=\"none\">—</td>";
  const std::optional<double> share = shares.empty() ? std::nullopt : std::optional(geometric_mean(shares));
  std::string small = timed == cases ? fmt::format("{} case{}", cases, cases == 1 ? "" : "s")
                                     : fmt::format("{} of {} cases", timed, cases);
  if (!gains.empty()) small += ", tuned " + times_text(geometric_mean(gains));
  return fmt::format("<td class=\"{}\"><b>{}</b><small>{}</small></td>", share ? heat_class(*share) : "none",
                     percent_text(share), small);
}

std::string heat_cell(const OnDevice& on, bool fastest) {
  const Row* row = on.got();
  if (row) {
    const std::string cls = row->roofline_share ? heat_class(*row->roofline_share) : "bare";
    return fmt::format("<td class=\"{}{}\" title=\"{}\">{}</td>", cls, fastest ? " best" : "",
                       escaped(choice_text(*row) + ", " + percent_text(row->roofline_share) + " of the roofline"),
                       time_text(row->median_ns));
  }
  const Row* other = on.any();
  if (!other || other->status == Status::unmeasured) return "<td class=\"none\">—</td>";
  if (other->status == Status::measured)
    return "<td class=\"none\" title=\"only single variants were measured\">—</td>";
  return fmt::format("<td class=\"none {0}\" title=\"{1}\">{0}</td>", name_of(other->status),
                     escaped(text_or_absent(other->reason)));
}

std::string heat_rows(const Page& page, const std::string& op) {
  std::string text;
  for (const CaseRows& c : page.cases) {
    if (c.op != op) continue;
    double least = 0;
    for (const OnDevice& on : c.on)
      if (const Row* row = on.got(); row && (least == 0 || *row->median_ns < least)) least = *row->median_ns;
    text += "<tr><th scope=\"row\">" + escaped(c.label_within_op()) + "</th>";
    for (const OnDevice& on : c.on) text += heat_cell(on, on.got() && *on.got()->median_ns == least);
    text += "</tr>\n";
  }
  return text;
}

/// How many were right, how near the bound the worst of them came, and everything else by name.
std::string support_cell(const Page& page, const std::string& op, const std::string& dtype, size_t device) {
  std::map<Status, size_t> counts;
  std::map<Status, std::string> reasons;
  std::optional<double> nearest;  // error / allowed
  const auto count = [&](const Row* row) {
    if (!row) return;
    ++counts[row->status];
    if (reasons[row->status].empty()) reasons[row->status] = row->reason;
    if (row->error && row->allowed && *row->allowed > 0)
      nearest = std::max(nearest.value_or(0), *row->error / *row->allowed);
  };
  for (const CaseRows& c : page.cases) {
    if (c.op != op || c.dtype != dtype) continue;
    const OnDevice& on = c.on[device];
    count(on.default_row), count(on.tuned);
    for (const Row* row : on.variants) count(row);
  }
  std::string text;
  for (const auto& [status, n] : counts) {
    if (status == Status::unmeasured) continue;
    if (status == Status::measured) {
      text += fmt::format("<b class=\"right\">✓ {}</b>", n);
      if (nearest) text += "<small>largest error " + percent_text(nearest) + " of the bound</small>";
    } else {
      text += fmt::format("<b class=\"{0}\">{1} {0}</b><small>{2}</small>", name_of(status), n,
                          escaped(text_or_absent(reasons[status])));
    }
  }
  return text.empty() ? "<td class=\"none\">—</td>" : "<td>" + text + "</td>";
}

}  // namespace

std::string machine_section(const Page& page) {
  std::string body = "<dl class=\"facts\">\n";
  for (const auto& [label, text] : facts(page.run))
    body += "<div><dt>" + escaped(label) + "</dt><dd>" + escaped(text) + "</dd></div>\n";
  body += "</dl>\n";
  if (!page.run.parts.empty()) body += scrolling(html_table(parts_table(page.run)));
  if (!page.run.devices.empty()) body += scrolling(html_table(devices_table(page.run)));
  return section("machine", "The machine", "What was true while these rows were measured.", body);
}

std::string summary_section(const Page& page) {
  std::string body =
      "<table class=\"heat\">\n<thead><tr><th scope=\"col\">op</th>" + device_heads(page) + "</tr></thead>\n<tbody>\n";
  for (const std::string& op : ops_of(page.cases)) {
    body += "<tr><th scope=\"row\">" + escaped(op) + "</th>";
    for (size_t d = 0; d < page.run.devices.size(); ++d) body += summary_cell(page, op, d);
    body += "</tr>\n";
  }
  body += "</tbody>\n</table>\n";
  return section(
      "summary", "Devices and ops",
      "How much of what the device can do at the most does an op reach? Shares are of the device's own roofline, "
      "measured in this run: geometric means over cases, tuned where a tuned row exists.",
      page.cases.empty() ? "" : heat_legend("of the device's own roofline") + scrolling(body));
}

std::string heat_map_section(const Page& page) {
  std::string body =
      "<table class=\"heat\">\n<thead><tr><th scope=\"col\">case</th>" + device_heads(page) + "</tr></thead>\n";
  for (const std::string& op : ops_of(page.cases)) {
    body += fmt::format("<tbody>\n<tr><th scope=\"rowgroup\" class=\"op\" colspan=\"{}\">{}</th></tr>\n",
                        page.run.devices.size() + 1, escaped(op));
    body += heat_rows(page, op) + "</tbody>\n";
  }
  return section(
      "cases", "Every case on every device",
      "Median times; the colour says how near that is to the device's own roofline (none: it has none). The fastest "
      "device of a row is "
      "bold and framed.",
      page.cases.empty() ? "" : heat_legend("of the device's own roofline") + scrolling(body + "</table>\n"));
}

std::string support_section(const Page& page) {
  std::vector<std::pair<std::string, std::string>> kinds;
  for (const CaseRows& c : page.cases)
    if (std::find(kinds.begin(), kinds.end(), std::pair(c.op, c.dtype)) == kinds.end())
      kinds.emplace_back(c.op, c.dtype);
  std::string body = "<table class=\"support\">\n<thead><tr><th scope=\"col\">op</th>" + device_heads(page) +
                     "</tr></thead>\n<tbody>\n";
  for (const auto& [op, dtype] : kinds) {
    body += "<tr><th scope=\"row\">" + escaped(dtype.empty() ? op : op + " " + dtype) + "</th>";
    for (size_t d = 0; d < page.run.devices.size(); ++d) body += support_cell(page, op, dtype, d);
    body += "</tr>\n";
  }
  return section(
      "support", "Right, wrong, refused",
      "Every timed row was compared with an oracle in the same run; the bound is what rounding allows. A dash: "
      "nobody tried.",
      kinds.empty() ? "" : scrolling(body + "</tbody>\n</table>\n"));
}

}  // namespace backplane::bench::report::page
