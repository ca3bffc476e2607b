// SPDX-License-Identifier: Apache-2.0
// Several devices at once: groups that add up tensors, and data-parallel training on them.
#pragma once

#include "backplane/parallel/data_parallel.h"
#include "backplane/parallel/group.h"
