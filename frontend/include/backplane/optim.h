// SPDX-License-Identifier: Apache-2.0
// Optimisers and learning rate schedules.
#pragma once

#include "backplane/optim/adam.h"
#include "backplane/optim/optimizer.h"
#include "backplane/optim/schedule.h"
#include "backplane/optim/sgd.h"
