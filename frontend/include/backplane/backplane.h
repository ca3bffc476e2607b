// SPDX-License-Identifier: Apache-2.0
// Everything a program needs; `bp` is short for the namespace.
#pragma once

#include "backplane/compile.h"
#include "backplane/device.h"
#include "backplane/functions.h"
#include "backplane/random.h"
#include "backplane/session.h"
#include "backplane/tensor.h"
#include "backplane/variable.h"

namespace bp = backplane;
