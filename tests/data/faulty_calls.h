// SPDX-License-Identifier: Apache-2.0
// System calls that fail on request. The linker's --wrap sends open, write, fsync, close and rename of this executable
// through here; with no fault armed they go straight on.
#pragma once

namespace backplane::tests {

enum class Call { open, write, fsync, close, rename };

/// The `skip`+1-th `call` from now fails with `error_number`. A fault fires once.
void arm(Call call, int error_number, int skip = 0);
/// From now each write takes at most this many bytes; 0 for no limit.
void limit_writes(unsigned bytes);
/// No fault, no limit. Returns how many calls of `call` there were since the last disarm.
void disarm();
int calls(Call call);

}  // namespace backplane::tests
