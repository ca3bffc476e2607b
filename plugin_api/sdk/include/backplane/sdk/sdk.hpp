// SPDX-License-Identifier: Apache-2.0
// Everything a plugin in C++ needs. Start from plugin_api/template/.
#pragma once

#include "backplane/sdk/host_backend.hpp"
#include "backplane/sdk/plugin.hpp"
