// SPDX-License-Identifier: Apache-2.0
// The emulated GPU, or with BACKPLANE_TEST_GPU=1 the machine's.
#include "cards/card.h"

#include <cstdlib>

namespace card_test {

const CardFacts& card_facts() {
  const std::map<std::string, std::string> emulated = {{"cuda.driver", CUDA_EMULATOR},
                                                       {"cuda.nvrtc", NVRTC_EMULATOR},
                                                       {"cuda.cublaslt", CUBLASLT_EMULATOR},
                                                       {"cuda.cudnn", CUDNN_EMULATOR},
                                                       {"cuda.nccl", NCCL_EMULATOR}};
  const bool real = std::getenv("BACKPLANE_TEST_GPU") != nullptr;
  static const CardFacts facts{"cuda", CARD_PLUGIN,
                               real ? std::map<std::string, std::string>{} : emulated,
                               true, 40, true};
  return facts;
}

}  // namespace card_test
