// SPDX-License-Identifier: Apache-2.0
// Variants that take the process down without having said so: the process dies twice, and no more.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backplane/autotune/tuner.h"
#include "records.h"
#include "virtual_device.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::Product;
using ::testing::HasSubstr;

class Deaths : public ::testing::Test {
 protected:
  Outcome measure(const std::string& device) {
    TuningOptions options;
    options.mode = Mode::on, options.store = folder.file();
    return Tuner(test::virtual_device(device), std::make_shared<Tuning>(options)).measure(product.op);
  }
  /// Tunes in processes of their own until one lives; how many died.
  int deaths(const std::string& device) {
    // Opened before the fork: devices there are host memory, and start no threads.
    test::virtual_device(device);
    for (int died = 0; died < 10; ++died) {
      const pid_t child = fork();
      if (child == 0) {
        measure(device);
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      if (!WIFSIGNALED(status)) return died;
    }
    return 10;
  }
  Folder folder;
  Product product{35, 19, 67};
};

TEST_F(Deaths, AVariantThatIsDeadlyWhenCheckedIsNotTriedAThirdTime) {
  EXPECT_EQ(deaths("fault-dies-when-checked"), 2);
  const Outcome outcome = measure("fault-dies-when-checked");
  EXPECT_EQ(outcome.chosen, "good");
  EXPECT_TRUE(outcome.decided) << outcome.why;
  EXPECT_EQ(outcome.find("dies-when-checked")->verdict, Verdict::crashed);
  EXPECT_EQ(outcome.find("dies-when-checked")->reason,
            "in an earlier tuning: the process ended 2 times while this was tried");
  EXPECT_EQ(outcome.find("good-slower")->verdict, Verdict::eliminated) << "it has done nothing";
}

TEST_F(Deaths, OneThatIsDeadlyInTheRaceIsFoundByTryingAllInChildProcesses) {
  EXPECT_EQ(deaths("fault-dies-in-the-race"), 2);
  const Outcome outcome = measure("fault-dies-in-the-race");
  EXPECT_EQ(outcome.chosen, "good");
  EXPECT_EQ(outcome.find("dies-in-the-race")->verdict, Verdict::crashed);
  EXPECT_THAT(outcome.find("dies-in-the-race")->reason, HasSubstr("in a child process"));
  EXPECT_EQ(outcome.find("good-slower")->verdict, Verdict::eliminated);
}

}  // namespace
}  // namespace backplane::autotune
