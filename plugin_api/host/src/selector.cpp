// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/selector.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

constexpr std::size_t kMaxSelector = 4096;

struct KindName {
  std::string_view name;
  DeviceKind kind;
};
constexpr KindName kKinds[] = {
    {"cpu", DeviceKind::cpu},
    {"gpu", DeviceKind::gpu},
    {"accelerator", DeviceKind::accelerator},
    {"software", DeviceKind::software},
};

struct RankRow {
  std::uint32_t kind;
  int rank;
  const char* name;
};
constexpr RankRow kRanks[] = {
    {BP_KIND_GPU, 0, "gpu"},
    {BP_KIND_INTEGRATED_GPU, 1, "integrated gpu"},
    {BP_KIND_ACCELERATOR, 2, "accelerator"},
    {BP_KIND_CPU, 3, "cpu"},
    {BP_KIND_OTHER, 4, "other"},
};
constexpr int kSoftwareRank = 5;
constexpr int kReferenceRank = 6;

[[noreturn]] void fail(std::string_view selector, std::string_view term, const std::string& what) {
  throw Error(BP_E_INVALID_ARGUMENT,
              "[device selector] " + ("\"" + clean_text(term, 200) + "\"") + ": " + what +
                  (term.size() == selector.size() ? "" : " (in \"" + clean_text(selector, 400) + "\")"));
}

std::optional<DeviceKind> kind_of(std::string_view word) {
  for (const KindName& entry : kKinds) {
    if (entry.name == word) return entry.kind;
  }
  return std::nullopt;
}

class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& plugins) : text_(text), plugins_(plugins) {}

  Selector parse() {
    Selector out;
    out.text = std::string(text_);
    if (text_.size() > kMaxSelector) fail(text_, text_, "longer than " + std::to_string(kMaxSelector) + " bytes");
    if (trim(text_).empty()) fail(text_, text_, "empty; write \"auto\", or a list such as \"cuda:0,vulkan:gpu,cpu\"");
    for (const std::string& part : split(text_, ',')) {
      const std::string_view term = trim(part);
      if (term.empty())
        fail(text_, term, "an empty term in \"" + clean_text(text_, 400) + "\"; remove the extra comma");
      SelectorTerm parsed = parse_term(term);
      (parsed.exclude ? out.excludes : out.picks).push_back(std::move(parsed));
    }
    if (out.picks.empty()) {
      SelectorTerm everything;
      everything.text = "auto";
      everything.automatic = true;
      out.picks.push_back(everything);
    }
    return out;
  }

 private:
  SelectorTerm parse_term(std::string_view whole) {
    SelectorTerm term;
    std::string_view rest = whole;
    if (rest.front() == '!') {
      term.exclude = true;
      rest = trim(rest.substr(1));
      if (rest.empty()) fail(text_, whole, "nothing to exclude; write \"!plugin\", \"!gpu\" or \"!id=...\"");
    }
    term.text = std::string(rest);
    if (rest == "auto") {
      if (term.exclude) fail(text_, whole, "this would exclude every device");
      term.automatic = true;
      return term;
    }
    if (rest.find('=') < rest.find(':')) {  // a qualifier's own value may hold colons
      parse_which(term, rest, whole);
      return term;
    }
    const std::size_t colon = rest.find(':');
    const std::string_view word = rest.substr(0, colon);
    parse_word(term, word, whole, colon != std::string_view::npos);
    if (colon != std::string_view::npos) parse_which(term, rest.substr(colon + 1), whole);
    return term;
  }

  void parse_word(SelectorTerm& term, std::string_view word, std::string_view whole, bool has_more) {
    if (std::find(plugins_.begin(), plugins_.end(), word) != plugins_.end()) {
      term.plugin = std::string(word);
      return;
    }
    if (const auto kind = kind_of(word); kind && !has_more) {
      term.kind = *kind;
      return;
    }
    const auto known = project_plugins();
    if (std::find(known.begin(), known.end(), word) != known.end()) {
      term.plugin = std::string(word);
      term.installed = false;
      return;
    }
    if (kind_of(word)) fail(text_, whole, "\"" + std::string(word) + "\" is a kind and cannot be followed by ':'");
    unknown_word(word, whole);
  }

  [[noreturn]] void unknown_word(std::string_view word, std::string_view whole) {
    std::vector<std::string> kinds, choices = plugins_;
    for (const KindName& entry : kKinds) kinds.emplace_back(entry.name);
    choices.insert(choices.end(), kinds.begin(), kinds.end());
    choices.emplace_back("auto");
    for (const std::string_view name : project_plugins()) choices.emplace_back(name);
    std::string what = word.empty() ? "a name is missing before ':'"
                                    : "no plugin and no kind is called \"" + clean_text(word, 80) + "\"";
    if (const std::string guess = nearest(word, choices); !guess.empty()) what += "; did you mean \"" + guess + "\"?";
    what += " Plugins here: " + (plugins_.empty() ? "none" : join(plugins_, ", ")) + "; kinds: " + join(kinds, ", ") +
            "; also auto, id=..., pci=..., name=...";
    fail(text_, whole, what);
  }

  void parse_which(SelectorTerm& term, std::string_view which, std::string_view whole) {
    const std::size_t equals = which.find('=');
    if (equals != std::string_view::npos) {
      parse_qualifier(term, which.substr(0, equals), which.substr(equals + 1), whole);
    } else if (!which.empty() && std::isdigit(static_cast<unsigned char>(which.front())) != 0) {
      std::uint32_t index = 0;
      const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), index);
      if (error != std::errc() || end != which.data() + which.size()) {
        fail(text_, whole, "\"" + clean_text(which, 80) + "\" is not a device index");
      }
      term.index = index;
    } else if (const auto kind = kind_of(which)) {
      term.kind = *kind;
    } else {
      std::vector<std::string> choices = {"id=", "pci=", "name="};
      for (const KindName& entry : kKinds) choices.emplace_back(entry.name);
      const std::string guess = nearest(which, choices);
      fail(text_, whole,
           "after ':' comes an index (0, 1, ...), a kind (cpu, gpu, accelerator, software), id=, pci= or name=" +
               (guess.empty() ? "" : "; did you mean \"" + guess + "\"?"));
    }
  }

  void parse_qualifier(SelectorTerm& term, std::string_view key, std::string_view value, std::string_view whole) {
    if (key != "id" && key != "pci" && key != "name") {
      const std::string guess = nearest(key, {"id", "pci", "name"});
      fail(text_, whole,
           "\"" + clean_text(key, 80) + "=\" is not known" +
               (guess.empty() ? "; there are id=, pci= and name=" : "; did you mean \"" + guess + "=\"?"));
    }
    if (value.empty()) fail(text_, whole, "a value is missing after \"" + std::string(key) + "=\"");
    if (!is_clean_text(value)) fail(text_, whole, "control characters or broken UTF-8 in the value");
    if (key == "id") term.id = std::string(value);
    if (key == "name") term.name = std::string(value);
    if (key == "pci") term.pci = parse_pci(value, whole);
  }

  std::string parse_pci(std::string_view value, std::string_view whole) {
    std::string pci;
    for (const char c : value) {
      const auto u = static_cast<unsigned char>(c);
      if (std::isxdigit(u) == 0 && c != ':' && c != '.') {
        fail(text_, whole, "a PCI address looks like 0000:65:00.0 or 65:00");
      }
      pci += static_cast<char>(std::tolower(u));
    }
    return std::count(pci.begin(), pci.end(), ':') >= 2 ? pci : "0000:" + pci;
  }

  std::string_view text_;
  const std::vector<std::string>& plugins_;
};

bool is_kind(DeviceKind kind, const bp_device_info& info) {
  const bool software = (info.flags & BP_DEVICE_SOFTWARE) != 0;
  switch (kind) {
    case DeviceKind::any: return true;
    case DeviceKind::cpu: return info.kind == BP_KIND_CPU;
    case DeviceKind::gpu: return !software && (info.kind == BP_KIND_GPU || info.kind == BP_KIND_INTEGRATED_GPU);
    case DeviceKind::accelerator: return !software && info.kind == BP_KIND_ACCELERATOR;
    case DeviceKind::software: return software;
  }
  return false;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(), same);
}

}  // namespace

Selector parse_selector(std::string_view text, const std::vector<std::string>& plugins) {
  return Parser(text, plugins).parse();
}

bool SelectorTerm::is_whole_plugin() const {
  return !plugin.empty() && !index && kind == DeviceKind::any && id.empty() && pci.empty() && name.empty();
}

bool SelectorTerm::matches(std::string_view of_plugin, const bp_device_info& info) const {
  const bool oracle = (info.flags & BP_DEVICE_REFERENCE) != 0;
  if (automatic) return !oracle;
  if (!can_match_plugin(of_plugin) || (index && *index != info.index) || !is_kind(kind, info)) return false;
  // A kind asks for something fast; an oracle is only chosen by those who name it.
  if (oracle && !exclude && plugin.empty() && kind != DeviceKind::any) return false;
  if (!id.empty() && !starts_with_ignoring_case(info.id, id)) return false;
  if (!pci.empty() && (info.pci[0] == '\0' || !starts_with_ignoring_case(info.pci, pci))) return false;
  return name.empty() || glob_match(name, info.name);
}

int device_rank(const bp_device_info& info) {
  if ((info.flags & BP_DEVICE_REFERENCE) != 0) return kReferenceRank;
  if ((info.flags & BP_DEVICE_SOFTWARE) != 0) return kSoftwareRank;
  for (const RankRow& row : kRanks) {
    if (row.kind == info.kind) return row.rank;
  }
  return kSoftwareRank - 1;
}

std::string describe_kind(const bp_device_info& info) {
  std::string kind = "other";
  for (const RankRow& row : kRanks) {
    if (row.kind == info.kind) kind = row.name;
  }
  if ((info.flags & BP_DEVICE_SOFTWARE) != 0) kind = "software " + kind;
  if ((info.flags & BP_DEVICE_REFERENCE) != 0) kind = "reference " + kind;
  return kind;
}

}  // namespace backplane::host
