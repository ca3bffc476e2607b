// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/attrs.h"

#include <algorithm>

namespace backplane::graph {

namespace {

constexpr std::string_view kKindNames[] = {"an integer", "a real number", "true or false", "a dtype", "a list of integers"};

/// Appends `value` as words of `kind`; integers are accepted where a real number is wanted. False: does not fit.
bool encode(AttrKind kind, const AttrValue& value, std::vector<int64_t>& words) {
  switch (kind) {
    case AttrKind::integer:
      if (const auto* i = std::get_if<int64_t>(&value)) return words.push_back(*i), true;
      return false;
    case AttrKind::real:
      if (const auto* d = std::get_if<double>(&value)) return words.push_back(std::bit_cast<int64_t>(*d)), true;
      if (const auto* i = std::get_if<int64_t>(&value)) {
        return words.push_back(std::bit_cast<int64_t>(static_cast<double>(*i))), true;
      }
      return false;
    case AttrKind::boolean:
      if (const auto* b = std::get_if<bool>(&value)) return words.push_back(*b ? 1 : 0), true;
      return false;
    case AttrKind::dtype:
      if (const auto* d = std::get_if<DType>(&value)) return words.push_back(static_cast<int64_t>(*d)), true;
      return false;
    case AttrKind::integers:
      if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
        words.push_back(static_cast<int64_t>(list->size()));
        words.insert(words.end(), list->begin(), list->end());
        return true;
      }
      return false;
  }
  return false;
}

size_t words_of(AttrKind kind, const int64_t* at) {
  return kind == AttrKind::integers ? 1 + static_cast<size_t>(*at) : 1;
}

std::string real_to_string(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  double shorter = 0;
  char candidate[40];
  std::snprintf(candidate, sizeof candidate, "%.6g", value);
  if (std::sscanf(candidate, "%lf", &shorter) == 1 && shorter == value) return candidate;
  return buffer;
}

std::string value_to_string(AttrKind kind, const int64_t* at) {
  switch (kind) {
    case AttrKind::integer: return std::to_string(*at);
    case AttrKind::real: return real_to_string(std::bit_cast<double>(*at));
    case AttrKind::boolean: return *at != 0 ? "true" : "false";
    case AttrKind::dtype: return std::string(name_of(static_cast<DType>(*at)));
    case AttrKind::integers: break;
  }
  std::string text = "[";
  for (int64_t i = 0; i < *at; ++i) text += (i > 0 ? "," : "") + std::to_string(at[1 + i]);
  return text + "]";
}

}  // namespace

Attrs::Attrs(std::string_view op, std::span<const AttrSpec> specs, std::span<const AttrArg> args) : specs_(specs) {
  for (const AttrArg& arg : args) {
    if (std::none_of(specs.begin(), specs.end(), [&](const AttrSpec& spec) { return spec.name == arg.name; })) {
      std::string known;
      for (const AttrSpec& spec : specs) known += (known.empty() ? "" : ", ") + std::string(spec.name);
      backplane::fail(op, "there is no attribute '" + std::string(arg.name) + "'", {}, {},
                      known.empty() ? "it takes no attributes" : "it has " + known);
    }
  }
  words_.reserve(specs.size());
  for (const AttrSpec& spec : specs) {
    const auto arg = std::find_if(args.begin(), args.end(), [&](const AttrArg& a) { return a.name == spec.name; });
    if (arg == args.end() && spec.required) {
      backplane::fail(op, "attribute '" + std::string(spec.name) + "' has to be given");
    }
    if (!encode(spec.kind, arg != args.end() ? arg->value : spec.fallback, words_)) {
      backplane::fail(op, "attribute '" + std::string(spec.name) + "' has to be " +
                              std::string(kKindNames[static_cast<size_t>(spec.kind)]));
    }
  }
}

const int64_t* Attrs::word(std::string_view name, AttrKind kind) const {
  const int64_t* at = words_.data();
  for (const AttrSpec& spec : specs_) {
    if (spec.name == name && spec.kind == kind) return at;
    at += words_of(spec.kind, at);
  }
  fail_internal("no attribute '" + std::string(name) + "' of the asked kind");
}

std::span<const int64_t> Attrs::ints(std::string_view name) const {
  const int64_t* at = word(name, AttrKind::integers);
  return {at + 1, static_cast<size_t>(*at)};
}

std::vector<AttrArg> Attrs::args() const {
  std::vector<AttrArg> result;
  const int64_t* at = words_.data();
  for (const AttrSpec& spec : specs_) {
    switch (spec.kind) {
      case AttrKind::integer: result.push_back({spec.name, *at}); break;
      case AttrKind::real: result.push_back({spec.name, std::bit_cast<double>(*at)}); break;
      case AttrKind::boolean: result.push_back({spec.name, *at != 0}); break;
      case AttrKind::dtype: result.push_back({spec.name, static_cast<DType>(*at)}); break;
      case AttrKind::integers: result.push_back({spec.name, std::vector<int64_t>(at + 1, at + 1 + *at)}); break;
    }
    at += words_of(spec.kind, at);
  }
  return result;
}

std::string Attrs::to_string() const {
  if (specs_.empty()) return {};
  std::string text = "{";
  const int64_t* at = words_.data();
  for (const AttrSpec& spec : specs_) {
    if (text.size() > 1) text += ", ";
    text += std::string(spec.name) + "=" + value_to_string(spec.kind, at);
    at += words_of(spec.kind, at);
  }
  return text + "}";
}

}  // namespace backplane::graph
