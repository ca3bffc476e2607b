// SPDX-License-Identifier: Apache-2.0
#include "field.h"

#include "backplane/host/error.h"

namespace backplane::autotune {

void Field::recover(size_t i, Verdict verdict) {
  if (rig != nullptr) rig->distrust();
  if (verdict == Verdict::device_lost) return stop("the device was lost by " + row(i).variant);
  if (verdict != Verdict::hung) return;
  keep_for_ever(kernels[i]);
  if (i == 0) return stop("the default hung");
  try {
    set_rig();
    // Another queue may not help. The default has just been fine; if it is not now, the device is not.
    rig->need_workspace(kernels[0] != nullptr ? kernels[0]->workspace : 0);
    rig->reset(*problem, 0xFF);
    if (kernels[0] != nullptr) rig->time(*kernels[0], 1);
  } catch (const Fault& fault) {
    stop("the device does not respond since " + row(i).variant + " hung: " + fault.reason);
  } catch (const host::Error& error) {
    stop("the device does not respond since " + row(i).variant + " hung: " + error.what());
  }
}

}  // namespace backplane::autotune
