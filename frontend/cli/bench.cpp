// SPDX-License-Identifier: Apache-2.0
// `backplane bench`: runs backplane-bench, which lies beside this executable, with the arguments as they are. It is a
// program of its own because measuring needs libraries that nothing else does.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "cli/command.h"

namespace backplane::cli {

ExitCode run_bench(const std::vector<std::string>& arguments) {
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "backplane-bench";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  if (errno == ENOENT) {
    throw CommandError(ExitCode::file, "[bench] " + program.string() +
                                           " is not there / build it: it needs Google Benchmark (libbenchmark-dev) "
                                           "and BACKPLANE_BUILD_BENCH=ON");
  }
  throw CommandError(ExitCode::file, "[bench] cannot run " + program.string() + ": " + std::strerror(errno));
}

}  // namespace backplane::cli
