// SPDX-License-Identifier: Apache-2.0
// Small pure functions on text that error messages, selectors and file names need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::host {

/// The choice that `word` is most likely a misspelling of, or "" when none is close (edit distance with transpositions,
/// at most a third of the word).
std::string nearest(std::string_view word, const std::vector<std::string>& choices);

/// Shell pattern with `*` and `?` over the whole text; ASCII case is ignored.
bool glob_match(std::string_view pattern, std::string_view text);

/// Valid UTF-8 without control characters.
bool is_clean_text(std::string_view text);

/// `text` made safe for a terminal and a log: control characters become blanks, broken UTF-8 '?'; cut at `limit` bytes.
std::string clean_text(std::string_view text, std::size_t limit = 2000);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);  ///< keeps empty parts
std::string_view trim(std::string_view text);

/// FNV-1a, 64 bit: names files and guards against damage; no protection against intent.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325u);
std::string hex(std::uint64_t value);  ///< 16 digits

}  // namespace backplane::host
