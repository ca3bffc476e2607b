// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "cards/card.h"

namespace card_test {

const CardFacts& card_facts() {
  // A test environment may limit the instruction set; threads are set so that sharing of work is tested everywhere.
  static const CardFacts facts = [] {
    const auto setting = [](const char* name, const char* otherwise) {
      const char* value = std::getenv(name);
      return std::string(value != nullptr ? value : otherwise);
    };
    CardFacts f{"cpu", CARD_PLUGIN, {{"num_threads", setting("CPU_TEST_THREADS", "3")}}, true, 1};
    if (const std::string isa = setting("CPU_TEST_ISA", ""); !isa.empty()) f.settings["cpu.isa"] = isa;
    return f;
  }();
  return facts;
}

}  // namespace card_test
