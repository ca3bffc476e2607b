// SPDX-License-Identifier: Apache-2.0
// The cards' suite with the validation layer between the card and the driver, synchronisation checks included: whatever
// a test says, one message of the layer makes the run fail.
#include <gtest/gtest.h>

#include "cards/card.h"

namespace card_test {

const CardFacts& card_facts() {
  static const CardFacts facts{"vulkan", CARD_PLUGIN, {{"vulkan.validation", "1"}}, false, 96};
  return facts;
}

namespace {

class NoMessages : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    for (const std::string& line : card_under_test().log) {
      if (line.find("MessageID") != std::string::npos) ADD_FAILURE() << line;
    }
    card_under_test().log.clear();
  }
};

const bool kListening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new NoMessages);
  return true;
}();

}  // namespace
}  // namespace card_test
