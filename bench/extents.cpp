// SPDX-License-Identifier: Apache-2.0
#include "extents.h"

#include <cctype>
#include <charconv>
#include <optional>

#include "backplane/graph/types.h"
#include "backplane/host/text.h"

namespace backplane::bench {

namespace {

constexpr size_t kMostValues = 10'000;  // of one line: more is a typing error

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// sum := product (('+' | '-') product)*; product := atom (('*' | '/') atom)*; atom := number | name | '(' sum ')' |
/// '-' atom
class Expression {
 public:
  Expression(std::string_view text, const Dimensions& known) : text_(text), known_(known) {}

  int64_t value() {
    const int64_t result = sum();
    if (at_ != text_.size()) fail("'" + std::string(text_.substr(at_)) + "' is not expected");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error("'" + std::string(text_) + "': " + what); }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  int64_t sum() {
    int64_t left = product();
    while (true) {
      if (take('+')) left = bounded(left + product());
      else if (take('-')) left = bounded(left - product());
      else return left;
    }
  }
  int64_t product() {
    int64_t left = atom();
    while (true) {
      if (take('*')) {
        left = bounded(static_cast<double>(left) * static_cast<double>(atom()));
      } else if (take('/')) {
        const int64_t right = atom();
        if (right <= 0) fail("division by " + std::to_string(right));
        left = left / right - (left % right < 0 ? 1 : 0);
      } else {
        return left;
      }
    }
  }
  int64_t atom() {
    if (take('-')) return -atom();
    if (take('(')) {
      const int64_t inner = sum();
      if (!take(')')) fail("')' is missing");
      return inner;
    }
    if (at_ < text_.size() && is_digit(text_[at_])) return number();
    size_t end = at_;
    while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
    const std::string_view name = text_.substr(at_, end - at_);
    if (name.empty()) fail("a number or a dimension is expected");
    at_ = end;
    for (const auto& [each, value] : known_) {
      if (each == name) return value;
    }
    fail("there is no dimension '" + std::string(name) + "' before it");
  }
  int64_t number() {
    double result = 0;
    while (at_ < text_.size() && is_digit(text_[at_])) result = 10 * result + (text_[at_++] - '0');
    return bounded(result);
  }
  /// What is beyond is a typing error, and would overflow sooner or later.
  template <class T>
  int64_t bounded(T value) const {
    if (value > T{1'000'000'000'000} || value < T{-1'000'000'000'000}) fail("is too large");
    return static_cast<int64_t>(value);
  }

  std::string_view text_;
  const Dimensions& known_;
  size_t at_ = 0;
};

/// "64-4096*2": first, last, and how to go on; nothing when the text is no range.
struct Range {
  int64_t first = 0, last = 0, step = 1;
  char how = '+';
};
std::optional<Range> parse_range(std::string_view text) {
  Range range;
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&](int64_t& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    const bool good = error == std::errc() && next != at && is_digit(*at);
    at = next;
    return good;
  };
  if (!number(range.first) || at == end || *at++ != '-' || at == end || !number(range.last)) return std::nullopt;
  if (at == end) return range;
  range.how = *at++;
  if ((range.how != '*' && range.how != '+') || at == end || !number(range.step) || at != end) return std::nullopt;
  return range;
}

void add_range(const Range& range, std::string_view text, std::vector<int64_t>& values) {
  const auto fail = [&](const char* what) { throw Error("'" + std::string(text) + "': " + what); };
  if (range.first > range.last) fail("the range goes backwards");
  if (range.step < (range.how == '*' ? 2 : 1) || (range.how == '*' && range.first < 1)) fail("the range never ends");
  for (int64_t value = range.first; value <= range.last;
       value = range.how == '*' ? value * range.step : value + range.step) {
    values.push_back(value);
    if (values.size() > kMostValues) fail("has too many values");
  }
}

void combine(const std::vector<DimensionRange>& ranges, Dimensions& chosen, std::vector<Dimensions>& all) {
  if (chosen.size() == ranges.size()) {
    all.push_back(chosen);
    if (all.size() > kMostValues) throw Error("has too many combinations");
    return;
  }
  const DimensionRange& next = ranges[chosen.size()];
  for (int64_t value : expand_values(next.values, chosen)) {
    chosen.emplace_back(next.name, value);
    combine(ranges, chosen, all);
    chosen.pop_back();
  }
}

}  // namespace

bool is_dimension(std::string_view name) {
  return !name.empty() && std::isupper(static_cast<unsigned char>(name[0])) != 0;
}

int64_t evaluate(std::string_view text, const Dimensions& known) { return Expression(text, known).value(); }

std::vector<int64_t> expand_values(std::string_view text, const Dimensions& known) {
  std::vector<int64_t> values;
  for (const std::string& each : host::split(text, ',')) {
    if (const auto range = parse_range(each)) add_range(*range, each, values);
    else values.push_back(evaluate(each, known));
  }
  return values;
}

std::vector<DimensionRange> parse_ranges(std::string_view text) {
  std::vector<DimensionRange> ranges;
  for (const std::string& item : host::split(text, ',')) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) {
      if (ranges.empty()) throw Error("'" + item + "' belongs to no dimension; say it like M=64-4096*2");
      ranges.back().values += "," + item;
      continue;
    }
    const std::string name = item.substr(0, equals);
    if (!is_dimension(name)) throw Error("'" + name + "' is no dimension: their names start with a capital letter");
    ranges.push_back({name, item.substr(equals + 1)});
  }
  return ranges;
}

std::vector<Dimensions> combinations(const std::vector<DimensionRange>& ranges) {
  std::vector<Dimensions> all;
  Dimensions chosen;
  combine(ranges, chosen, all);
  return all;
}

}  // namespace backplane::bench
