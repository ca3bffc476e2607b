// SPDX-License-Identifier: Apache-2.0
// The 8-bit floats of convert.h against their definition, and where operations take them.
#include <gmock/gmock.h>

#include <bit>
#include <cmath>

#include "backplane/sdk/convert.h"
#include "backplane/sdk/program.hpp"
#include "support/float8.h"

namespace backplane::testing {
namespace {

struct Format {
  test::Float8 definition;
  uint32_t dtype;
  float (*widen)(uint8_t);
  uint8_t (*narrow)(float);
};
const Format kFormats[] = {{test::kE4M3, BP_F8_E4M3, bp_sdk_e4m3_to_f32, bp_sdk_f32_to_e4m3},
                           {test::kE5M2, BP_F8_E5M2, bp_sdk_e5m2_to_f32, bp_sdk_f32_to_e5m2}};

TEST(Float8, EveryCodeIsTheNumberThatTheSpecificationSays) {
  EXPECT_EQ(test::decode(test::kE4M3, 0x7e), 448);  // the examples of the specification's table
  EXPECT_EQ(test::decode(test::kE4M3, 0x01), std::ldexp(1, -9));
  EXPECT_EQ(test::decode(test::kE5M2, 0x7b), 57344);
  EXPECT_EQ(test::decode(test::kE5M2, 0x01), std::ldexp(1, -16));
  for (const Format& format : kFormats) {
    for (int code = 0; code < 256; ++code) {
      const auto byte = static_cast<uint8_t>(code);
      const double expected = test::decode(format.definition, byte), actual = format.widen(byte);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(actual)) << code;
        EXPECT_TRUE(std::isnan(format.widen(format.narrow(static_cast<float>(actual))))) << code;
      } else {
        EXPECT_EQ(actual, expected) << code;
        EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << code;
        EXPECT_EQ(format.narrow(static_cast<float>(actual)), byte);
      }
    }
  }
}

/// All exponents, signs and upper mantissa bits, and both neighbours of each: among them every tie.
TEST(Float8, NarrowsToTheNearestAndTiesToEven) {
  for (const Format& format : kFormats) {
    int ties = 0;
    for (uint32_t upper = 0; upper < (1u << 14); ++upper) {
      for (const uint32_t bits : {(upper << 18) - 1, upper << 18, (upper << 18) + 1}) {
        const auto value = std::bit_cast<float>(bits);
        const uint8_t expected = test::encode(format.definition, value), actual = format.narrow(value);
        ASSERT_EQ(actual, expected) << value << " as " << sdk::dtype_name(format.dtype);
        const int code = actual & 0x7f;
        if (code > 0 && code < 0x7b && std::isfinite(value)) {
          const double below = test::magnitude_of(format.definition, code - 1), here = test::magnitude_of(format.definition, code);
          ties += std::fabs(value) == (below + here) / 2 ? 1 : 0;
        }
      }
    }
    EXPECT_GT(ties, 50) << "the values above contain few ties";
  }
}

TEST(Float8, LoadsAndStoresAndRounds) {
  for (const Format& format : kFormats) {
    alignas(8) uint8_t bytes[16] = {0xaa, 0xaa};
    bp_sdk_store(format.dtype, bytes, 1, 1.3);
    EXPECT_EQ(bytes[0], 0xaa);
    EXPECT_EQ(bytes[1], test::encode(format.definition, 1.3));
    EXPECT_EQ(bp_sdk_load(format.dtype, bytes, 1), test::decode(format.definition, bytes[1]));
    EXPECT_EQ(bp_sdk_round_to(format.dtype, 1.3f), test::decode(format.definition, bytes[1]));
    EXPECT_EQ(bp_sdk_dtype_size(format.dtype), 1u);
    EXPECT_EQ(sdk::dtype_size(format.dtype), 1u);
  }
}

}  // namespace
}  // namespace backplane::testing
