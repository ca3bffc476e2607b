// SPDX-License-Identifier: Apache-2.0
// docs/ops.md, written from the registry.
#pragma once

#include <string>

namespace backplane::test {

std::string ops_page();

}  // namespace backplane::test
