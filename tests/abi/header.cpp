// SPDX-License-Identifier: Apache-2.0
// header.c once more, as C++.
#include "header.c"
