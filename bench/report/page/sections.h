// SPDX-License-Identifier: Apache-2.0
// The sections of the page, one function each; a section without data is empty and left out.
#pragma once

#include <string>
#include <vector>

#include "report/page/cases.h"

namespace backplane::bench::report::page {

struct Page {
  const Run& run;
  const std::vector<CaseRows>& cases;
};

std::string machine_section(const Page& page);    ///< environment, noise floor, devices
std::string summary_section(const Page& page);    ///< device x op
std::string heat_map_section(const Page& page);   ///< case x device
std::string roofline_section(const Page& page);   ///< one drawing a device
std::string win_map_section(const Page& page);    ///< which variant wins, over M x N
std::string gain_section(const Page& page);       ///< tuned over default
std::string peers_section(const Page& page);      ///< other libraries' times over ours
std::string scaling_section(const Page& page);    ///< time against size
std::string latency_section(const Page& page);    ///< the smallest case of each op
std::string support_section(const Page& page);    ///< right, wrong, refused
std::string ceiling_section(const Page& page);    ///< bandwidth over working sets, peaks
std::string every_row_section(const Page& page);  ///< each row's figures and command

// ---- pieces that several sections use ----

/// Heading, a sentence or two on how to read it, and the body; empty when the body is.
std::string section(const std::string& id, const std::string& heading, const std::string& meaning,
                    const std::string& body);
/// A drawing or small table among several side by side; of class "wide" it takes two places where there are so many.
std::string figure(const std::string& heading, const std::string& body, const std::string& cls = "");
std::string grid(const std::string& figures);
/// Something wide that scrolls by itself on a narrow screen.
std::string scrolling(const std::string& body);

struct LegendEntry {
  size_t index;
  std::string text;
};
std::string legend(const std::vector<LegendEntry>& entries);
std::vector<LegendEntry> device_legend(const Page& page);
/// Marker and id of a device.
std::string device_name(const Page& page, size_t device);

/// Beyond what an error of measurement explains: the ceiling was measured too low, and the share says nothing.
bool is_above(double share);
/// Class of a cell by a share of 0 .. 1: "h0" ... "h9", "over".
std::string heat_class(double share);
std::string heat_legend(const std::string& text);

}  // namespace backplane::bench::report::page
