// SPDX-License-Identifier: Apache-2.0
// Everything a plugin in C++ needs. Start from plugin_api/template/.
#pragma once

#include "backplane/sdk/loop_kernel.hpp"
#include "backplane/sdk/plugin.hpp"
