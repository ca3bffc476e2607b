// SPDX-License-Identifier: Apache-2.0
#include "cards/card.h"

namespace card_test {

const CardFacts& card_facts() {
  static const CardFacts facts{"cuda", CARD_PLUGIN,
                               {{"cuda.driver", CUDA_EMULATOR},
                                {"cuda.nvrtc", NVRTC_EMULATOR},
                                {"cuda.cublaslt", CUBLASLT_EMULATOR}},
                               true, 40};
  return facts;
}

}  // namespace card_test
