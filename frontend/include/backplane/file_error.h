// SPDX-License-Identifier: Apache-2.0
// A file that is missing, damaged or cannot be written, as a C++ exception.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace backplane {

/// what() reads "[component] what is wrong / the file / what to do".
class FileError : public std::runtime_error {
 public:
  FileError(std::string_view component, std::string_view problem, std::string path, std::string_view remedy)
      : std::runtime_error("[" + std::string(component) + "] " + std::string(problem) + " / " + path + " / " +
                           std::string(remedy)),
        path_(std::move(path)) {}

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace backplane
