// SPDX-License-Identifier: Apache-2.0
// Learning rates as functions of the step number, from 0:
//   auto rate = optim::warmup(500, optim::cosine(1e-3, 10'000));   ...   adam.set_learning_rate(rate(step));
#pragma once

#include <cstdint>
#include <functional>

namespace backplane::optim {

using Schedule = std::function<double(int64_t step)>;

Schedule constant(double rate);
/// From `rate` down to `last` along half a cosine over `steps`, `last` from then on (Loshchilov and Hutter,
/// arXiv:1608.03983).
Schedule cosine(double rate, int64_t steps, double last = 0);
/// `rate` times `factor` for every `every` steps gone by.
Schedule step_decay(double rate, int64_t every, double factor);
/// Rises linearly over the first `steps`, then is `next` (which counts from its own 0).
Schedule warmup(int64_t steps, Schedule next);

}  // namespace backplane::optim
