// SPDX-License-Identifier: Apache-2.0
// What this processor is and which of the compiled instruction sets it runs.
#pragma once

#include <cstdint>
#include <string>

#include "isa/isa_table.h"

namespace backplane::cpu {

/// The best table for this machine, or the one `limit_isa` allowed.
const IsaTable& isa();
/// "x86-64-v2", "-v3" or "-v4": use no more than that ("cpu.isa" setting; false for another text). Before first use.
bool limit_isa(const std::string& name);

std::string processor_name();   // "Intel(R) Xeon(R) Processor"
uint64_t total_memory();        // bytes

}  // namespace backplane::cpu
