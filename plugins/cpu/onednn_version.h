// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace backplane::cpu {
/// "oneDNN 2.6.3"
const char* onednn_version();
}  // namespace backplane::cpu
