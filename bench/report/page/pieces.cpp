// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"

namespace backplane::bench::report::page {

std::string section(const std::string& id, const std::string& heading, const std::string& meaning,
                    const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n<p class=\"how\">{}</p>\n{}</section>\n", id, escaped(heading),
                     escaped(meaning), body);
}

std::string figure(const std::string& heading, const std::string& body, const std::string& cls) {
  const std::string attribute = cls.empty() ? "" : " class=\"" + cls + "\"";
  return "<figure" + attribute + ">\n<figcaption>" + heading + "</figcaption>\n" + body + "</figure>\n";
}

std::string grid(const std::string& figures) {
  return figures.empty() ? "" : "<div class=\"grid\">\n" + figures + "</div>\n";
}

std::string scrolling(const std::string& body) { return "<div class=\"scroll\" tabindex=\"0\">\n" + body + "</div>\n"; }

std::string legend(const std::vector<LegendEntry>& entries) {
  std::string text = "<ul class=\"legend\">";
  for (const LegendEntry& e : entries) text += "<li>" + marker_icon(e.index) + escaped(e.text) + "</li>";
  return text + "</ul>\n";
}

std::vector<LegendEntry> device_legend(const Page& page) {
  std::vector<LegendEntry> entries;
  for (size_t i = 0; i < page.run.devices.size(); ++i) entries.push_back({i, page.run.devices[i].id});
  return entries;
}

std::string device_name(const Page& page, size_t device) {
  return marker_icon(device) + escaped(page.run.devices[device].id);
}

bool is_above(double share) { return share > 1.05; }

std::string heat_class(double share) {
  return is_above(share) ? "over" : fmt::format("h{}", std::clamp(static_cast<int>(share * 10), 0, 9));
}

std::string heat_legend(const std::string& text) {
  std::string result = "<p class=\"ramp\"><span>0 %</span>";
  for (int i = 0; i < 10; ++i) result += fmt::format("<i class=\"h{}\"></i>", i);
  return result + "<span>100 % " + escaped(text) +
         "</span><i class=\"over\"></i><span>above a ceiling that was measured too low</span></p>\n";
}

}  // namespace backplane::bench::report::page
