// SPDX-License-Identifier: Apache-2.0
// Helpers of the frontend tests: values, and the text of what is thrown.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "backplane/backplane.h"

namespace backplane::tests {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

inline std::vector<float> values(const Tensor& x) { return x.to_vector<float>(); }

/// What `action` throws; the test fails when it does not throw an Error.
template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw something else: " << error.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

inline void expect_near(const Tensor& x, const std::vector<float>& wanted, float tolerance = 1e-5f) {
  EXPECT_THAT(values(x), Pointwise(FloatNear(tolerance), wanted));
}

/// "error_test.cpp:42" on line 41: what an error says about the line below.
inline std::string next_line(Here here = {}) {
  ++here.loc.line;
  return here.loc.to_string();
}

}  // namespace backplane::tests
