// SPDX-License-Identifier: Apache-2.0
#include "cards/card.h"

namespace card_test {

const CardFacts& card_facts() {
  static const CardFacts facts{"vulkan", CARD_PLUGIN, {}, false, 40};
  return facts;
}

}  // namespace card_test
