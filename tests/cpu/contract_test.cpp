// SPDX-License-Identifier: Apache-2.0
// What the card promises beside numbers: nothing is created twice, refusals name the condition, kernels serve several
// threads.
#include <cmath>
#include <thread>

#include "cards/compare.h"

namespace card_test {
namespace {

Case convolution_case(bp_convolution_attrs& attrs) {
  attrs = {};
  attrs.size = sizeof(attrs), attrs.spatial_rank = 2, attrs.groups = 1;
  for (int i = 0; i < 2; ++i) attrs.stride[i] = attrs.dilation[i] = attrs.pad_low[i] = attrs.pad_high[i] = 1;
  Case c;
  c.name = "convolution";
  c.code = BP_OP_CONVOLUTION;
  c.attrs = &attrs;
  c.in = {lay_out(BP_F32, {4, 16, 17, 19}), lay_out(BP_F32, {32, 16, 3, 3})};
  c.out = {lay_out(BP_F32, {4, 32, 17, 19})};
  c.bound.linear = true, c.bound.terms = 144, c.bound.weight = 64;
  return c;
}
Case matmul_case(int64_t m, int64_t n, int64_t k) {
  Case c;
  c.name = "matmul";
  c.code = BP_OP_MATMUL;
  c.in = {lay_out(BP_F32, {m, k}), lay_out(BP_F32, {k, n})};
  c.out = {lay_out(BP_F32, {m, n})};
  c.bound.linear = true, c.bound.terms = static_cast<double>(k);
  return c;
}

TEST(CpuContract, PreparingAgainBuildsNothing) {
  bp_convolution_attrs attrs;
  Card card(CARD_PLUGIN, {{"num_threads", "2"}});  // its caches are empty
  for (const Case& c : {matmul_case(211, 77, 123), convolution_case(attrs)}) {
    bp_program program;
    const bp_op op = make_op(c, program);
    for (const bp_variant& variant : card.variants(op)) {
      for (int round = 0; round < 3; ++round) {
        bp_error error = make_error();
        bp_kernel* kernel = nullptr;
        bp_kernel_info info{};
        info.size = sizeof(info);
        ASSERT_EQ(card.kernels->prepare(card.device, &op, variant.name, &kernel, &info, &error), BP_OK)
            << error.message;
        EXPECT_STREQ(info.variant, variant.name);
        EXPECT_EQ(info.workspace, variant.workspace) << variant.name;
        if (round > 0) EXPECT_EQ(info.build_time_ns, 0u) << variant.name;
        else EXPECT_GT(info.build_time_ns, 0u) << variant.name;
        card.kernels->destroy(kernel);
      }
    }
  }
}

TEST(CpuContract, NullMeansTheDefaultAndUnknownNamesAreNamed) {
  const Case c = matmul_case(40, 50, 60);
  bp_program program;
  const bp_op op = make_op(c, program);
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  bp_kernel_info info{};
  info.size = sizeof(info);
  ASSERT_EQ(card_under_test().kernels->prepare(card_under_test().device, &op, nullptr, &kernel, &info, &error), BP_OK) << error.message;
  EXPECT_STREQ(info.variant, card_under_test().variants(op)[0].name);
  card_under_test().kernels->destroy(kernel);
  EXPECT_EQ(card_under_test().kernels->prepare(card_under_test().device, &op, "no-such", &kernel, &info, &error), BP_E_NOT_FOUND);
  EXPECT_NE(std::string(error.message).find("own-packed"), std::string::npos) << error.message;
}

TEST(CpuContract, RefusalsNameTheCondition) {
  bp_convolution_attrs attrs;
  Case c = convolution_case(attrs);
  for (bp_tensor_desc* d : {&c.in[0], &c.in[1], &c.out[0]}) d->dtype = BP_F64;
  bp_program program;
  const bp_support support = card_under_test().query(make_op(c, program));
  EXPECT_EQ(support.verdict, uint32_t{BP_SUPPORT_NO});
  EXPECT_NE(std::string(support.reason).find("f64"), std::string::npos) << support.reason;
}

TEST(CpuContract, OneKernelOnManyThreads) {
  bp_convolution_attrs attrs;
  for (const Case& c : {matmul_case(150, 90, 200), convolution_case(attrs)}) {
    bp_program program;
    const bp_op op = make_op(c, program);
    Card& card = card_under_test();
    for (const bp_variant& variant : card.variants(op)) {
      if (std::string(variant.name).find("ref") != std::string::npos) continue;
      bp_error error = make_error();
      bp_kernel* kernel = nullptr;
      ASSERT_EQ(card.kernels->prepare(card.device, &op, variant.name, &kernel, nullptr, &error), BP_OK)
          << error.message;
      Storage a(c.in[0]), b(c.in[1]), y(c.out[0]);
      a.write([](int64_t e) { return double(e % 17) - 8; });
      b.write([](int64_t e) { return double(e % 13) - 6; });
      std::vector<std::vector<char>> results(6);  // more than oneDNN contexts of a kernel
      std::vector<std::thread> threads;
      for (std::vector<char>& result : results) {
        threads.emplace_back([&] {
          bp_error mine = make_error();
          bp_queue* queue = nullptr;
          ASSERT_EQ(card.queues->create(card.device, &queue, &mine), BP_OK);
          Guarded da(card, a.bytes.data(), a.bytes.size(), queue), db(card, b.bytes.data(), b.bytes.size(), queue);
          Guarded dy(card, nullptr, y.bytes.size(), queue), scratch(card, nullptr, variant.workspace + 64, queue);
          const bp_view in[] = {da.view(0), db.view(0)};
          const bp_view out[] = {dy.view(0)};
          for (int i = 0; i < 20; ++i) card.kernels->enqueue(queue, kernel, in, out, scratch.view(0), &mine);
          EXPECT_EQ(card.queues->finish(queue, &mine), BP_OK) << mine.message;
          EXPECT_TRUE(scratch.guards_intact() && dy.guards_intact());
          result = dy.contents();
          card.queues->destroy(queue);
        });
      }
      for (std::thread& thread : threads) thread.join();
      for (const auto& result : results) {
        double far = 0;
        for (size_t i = 0; i + 4 <= result.size(); i += 4) {
          far = std::max(far, std::fabs(read_element(BP_F32, &result[i]) - read_element(BP_F32, &results[0][i])));
        }
        EXPECT_TRUE(result == results[0]) << variant.name << ": results differ by up to " << far;
      }
      card.kernels->destroy(kernel);
    }
  }
}

TEST(CpuContract, StampsFollowTheClock) {
  Card& card = card_under_test();
  auto* timing =
      static_cast<const bp_timing_api*>(card.api->get_interface(card.plugin, BP_INTERFACE_TIMING, BP_VERSION(1, 0)));
  ASSERT_NE(timing, nullptr);
  bp_error error = make_error();
  bp_timer* timer = nullptr;
  ASSERT_EQ(timing->create(card.device, 2, &timer, &error), BP_OK);
  uint64_t ticks[2] = {};
  EXPECT_EQ(timing->read(timer, 0, 2, ticks, &error), BP_NOT_READY);
  EXPECT_EQ(timing->stamp(card.queue, timer, 0, &error), BP_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(timing->stamp(card.queue, timer, 1, &error), BP_OK);
  EXPECT_EQ(timing->read(timer, 0, 2, ticks, &error), BP_OK);
  EXPECT_GE(ticks[1] - ticks[0], 2'000'000u);
  EXPECT_EQ(timing->stamp(card.queue, timer, 2, &error), BP_E_INVALID_ARGUMENT);
  timing->destroy(timer);
}

}  // namespace
}  // namespace card_test
