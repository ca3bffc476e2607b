// SPDX-License-Identifier: Apache-2.0
#include "ops/ops_page.h"

#include "backplane/graph/op_def.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

struct Section {
  Tier tier;
  std::string_view title, text;
};
constexpr Section kSections[] = {
    {Tier::source, "Sources", "Values that are just there."},
    {Tier::scalar, "Scalar",
     "One instruction of a scalar program each. Operands have one dtype and broadcast as in NumPy. Chains of them run "
     "as one launch."},
    {Tier::view, "Views", "They cost nothing: only how a buffer is looked at changes."},
    {Tier::assemble, "Assembling", "An output put together from pieces by strided copies."},
    {Tier::primitive, "Primitive", "What a device has to have, or the host does it instead."},
    {Tier::composite, "Composite",
     "Made of the ops above. Where one is *also native*, a device may have a kernel of its own for it; where it has "
     "none, the "
     "decomposition runs."},
    {Tier::deferred, "Deferred", "Expanded when all shapes are known."},
};

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string operands(const OpDef& op) {
  const std::string low = std::to_string(op.min_inputs);
  if (op.max_inputs == op.min_inputs) return low;
  return op.max_inputs < 0 ? low + " or more" : low + " to " + std::to_string(op.max_inputs);
}

std::string attributes(const OpDef& op) {
  std::string out;
  for (const AttrSpec& spec : op.attrs) {
    out += (out.empty() ? "" : "; ") + ("`" + std::string(spec.name) + "` " + escape(spec.doc));
    if (spec.required) continue;
    const AttrSpec* one = &spec;
    const std::string all = Attrs(op.name, std::span(one, 1), {}).to_string();  // "{axis=1}"
    const std::string value = all.substr(spec.name.size() + 2, all.size() - spec.name.size() - 3);
    if (value != "[]") out += " (" + value + ")";
  }
  return out.empty() ? "–" : out;
}

std::string gradient(const OpDef& op) {
  if (op.tier == Tier::source) return "–";
  if (op.gradient == Gradient::blocked) return "none";
  if (op.vjp != nullptr) return "own";
  return op.decompose != nullptr ? "by parts" : "–";
}

}  // namespace

std::string ops_page() {
  std::string page =
      "# Operations\n\n"
      "Written from the registry (`graph/ops/`) by `write_ops_page`; a test compares it. Attributes show their default "
      "in "
      "parentheses; those without one have to be given, or are empty. Gradient: *own* has a rule of its own, *by "
      "parts* "
      "differentiates the decomposition, *none* lets nothing through. All rules are ops themselves, so every gradient "
      "has "
      "gradients again.\n";
  for (const Section& section : kSections) {
    std::string rows;
    for (const OpDef* op : all_ops()) {
      if (op->tier != section.tier) continue;
      const bool optional_native = op->tier == Tier::composite && op->native.code != 0;
      rows += "| `" + std::string(op->name) + "` | " + escape(op->doc) + (optional_native ? " *Also native.*" : "") +
              " | " + operands(*op) + " | " + attributes(*op) + " | " + gradient(*op) + " |\n";
    }
    if (rows.empty()) continue;
    page += "\n## " + std::string(section.title) + "\n\n" + std::string(section.text) +
            "\n\n| op | meaning | operands | attributes | gradient |\n|---|---|---|---|---|\n" + rows;
  }
  return page;
}

}  // namespace backplane::test
