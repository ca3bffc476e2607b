// SPDX-License-Identifier: Apache-2.0
// Networks: modules, layers, initial values, weights in files.
#pragma once

#include "backplane/nn/checkpoint.h"
#include "backplane/nn/init.h"
#include "backplane/nn/layers.h"
#include "backplane/nn/module.h"
