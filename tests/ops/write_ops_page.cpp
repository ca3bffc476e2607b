// SPDX-License-Identifier: Apache-2.0
// Writes docs/ops.md, or the file that is named.

#include <cstdio>
#include <fstream>

#include "ops/ops_page.h"

int main(int argc, char** argv) {
  const char* path = argc > 1 ? argv[1] : BACKPLANE_OPS_PAGE;
  std::ofstream file(path, std::ios::binary);
  file << backplane::test::ops_page();
  file.close();
  if (!file) {
    std::fprintf(stderr, "[write_ops_page] cannot write %s\n", path);
    return 1;
  }
  return 0;
}
