// SPDX-License-Identifier: Apache-2.0
// The command line of `backplane`: options, subcommands, and one place where errors become a message and an exit
// code.
#include <csignal>
#include <cstdio>
#include <functional>

#include <CLI/CLI.hpp>

#include "backplane/file_error.h"
#include "backplane/graph/types.h"
#include "cli/command.h"
#include "cli/models.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

using Action = std::function<ExitCode()>;

const std::string kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such device, 4 a file is missing, damaged or cannot be "
    "written, 130 interrupted.";

void add_train(CLI::App& app, TrainOptions& o, Action& action) {
  CLI::App* sub = app.add_subcommand("train", "Train an image classifier and test it");
  sub->add_option("--data", o.data, "Images to train on")
      ->check(CLI::IsMember({"fashion-mnist", "synthetic"}))
      ->capture_default_str();
  sub->add_option("--data-dir", o.data_directory,
                  "Where the data set lies (default: BACKPLANE_DATA_DIR, the system's place)");
  sub->add_option("--model", o.model, "What to train")->check(CLI::IsMember(model_names()))->capture_default_str();
  CLI::Option* device = sub->add_option(
      "--device", o.device, "Device selector, such as cuda:0,cpu (default: BACKPLANE_DEVICE, else the best)");
  CLI::Option* replicas =
      sub->add_option("--replicas", o.replicas, "Several devices that share every batch, such as cuda:0,cuda:1")
          ->delimiter(',')
          ->excludes(device);
  sub->add_option("--reduction", o.reduction, "Who adds up the replicas' gradients: their plugin, or the host")
      ->check(CLI::IsMember({"plugin", "host"}))
      ->needs(replicas)
      ->capture_default_str();
  sub->add_option("--mode", o.mode, "How the step is run")
      ->check(CLI::IsMember({"eager", "symbolic", "compiled"}))
      ->capture_default_str();
  sub->add_option("--epochs", o.epochs, "Times through the data; 0 only tests")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  sub->add_option("--batch", o.batch, "Images per step")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  sub->add_option("--lr", o.learning_rate,
                  "Learning rate at the start; falls along a cosine (default: the model's own)")
      ->check(CLI::PositiveNumber);
  sub->add_option("--seed", o.seed, "For initial weights and the order of images")->capture_default_str();
  sub->add_option("--limit", o.limit, "Use only the first N training images (0: all)")->check(CLI::NonNegativeNumber);
  sub->add_option("--save", o.save, "Write the weights here (safetensors)");
  sub->add_option("--load", o.load, "Start from these weights (safetensors)");
  sub->add_option("--trace", o.trace, "Write a time line of every launch here (open in chrome://tracing)");
  sub->add_flag("--json", o.json, "Print the result as JSON on stdout; progress goes to stderr");
  sub->callback([&] { action = [&] { return run_train(o); }; });
}

void add_explain(CLI::App& app, ExplainOptions& o, Action& action) {
  CLI::App* sub = app.add_subcommand("explain", "Show what runs where, and why, for one step of a model");
  sub->add_option("--model", o.model, "Which model")->check(CLI::IsMember(model_names()))->capture_default_str();
  sub->add_option("--device", o.device, "Device selector");
  sub->add_option("--batch", o.batch, "Images per step")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  sub->add_flag("--inference", o.inference, "The forward pass alone instead of a training step");
  sub->add_flag("--json", o.json, "As JSON");
  sub->callback([&] { action = [&] { return run_explain(o); }; });
}

void add_tune_query(CLI::App* tune, const char* name, const char* doc, ExitCode (*run)(const TuneQuery&), TuneQuery& q,
                    Action& action, const std::function<void(CLI::App*)>& options) {
  CLI::App* sub = tune->add_subcommand(name, doc);
  sub->add_option("--device", q.device, "Device selector");
  options(sub);
  sub->callback([&q, &action, run] { action = [&q, run] { return run(q); }; });
}

void add_tune(CLI::App& app, TuneOptions& o, TuneQuery& q, Action& action) {
  CLI::App* sub = app.add_subcommand("tune", "Measure which kernels are fastest here, and keep the result");
  sub->require_subcommand(0, 1);
  sub->add_option("--device", q.device, "Device selector");  // before or behind the subcommand
  sub->add_option("--ops", o.ops, "Operations, such as matmul,softmax")->delimiter(',');
  sub->add_option("--shapes", o.shapes, "Operands' shapes: 512x256,256x128 or \"1x8x32x32,32x8x3x3;pad_low=1,1\"");
  sub->add_option("--dtype", o.dtype, "Of operands that name none")->capture_default_str();
  sub->add_option("--from", o.from, "A recording made with BACKPLANE_TUNE_RECORD");
  sub->add_option("--budget-ms", o.budget_ms, "Time for one problem")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--total-s", o.total_s, "Time for all; what is heavy gets more of it (0: no limit)")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--arbitrate", o.arbitrate,
                "Race the plugins by which the device's machine is reached against one another");
  sub->add_flag("--again", o.again, "Measure what is decided already, too");
  sub->add_flag("--json", o.json, "Print the result as JSON on stdout; progress goes to stderr");
  sub->callback([&, sub] {
    if (sub->get_subcommands().empty()) action = [&] { return run_tune(o, q.device); };
  });
  const auto json = [&q](CLI::App* each) { each->add_flag("--json", q.json, "As JSON"); };
  const auto file = [&q](CLI::App* each) {
    each->add_option("file", q.file, "A file, or - for the terminal")->required();
  };
  add_tune_query(sub, "show", "What was measured: each variant with time, error, verdict and reason", run_tune_show, q,
                 action,
                 [&q, json](CLI::App* each) {
                   each->add_option("op", q.op, "Only this operation");
                   each->add_flag("--arbitration", q.arbitration, "Races between plugins instead");
                   json(each);
                 });
  add_tune_query(sub, "explain", "Which variant would be used, and why", run_tune_explain, q, action,
                 [&q, json](CLI::App* each) {
                   each->add_option("op", q.op, "Operation")->required();
                   each->add_option("shape", q.shape, "Operands' shapes")->required();
                   each->add_option("--dtype", q.dtype, "Of operands that name none");
                   json(each);
                 });
  add_tune_query(
      sub, "verify", "Measure a sample of decisions again", run_tune_verify, q, action, [&q, json](CLI::App* each) {
        each->add_option("op", q.op, "Only this operation");
        each->add_option("--sample", q.sample, "How many")->check(CLI::Range(1, 1'000'000))->capture_default_str();
        each->add_option("--seed", q.seed, "Of the sample")->capture_default_str();
        json(each);
      });
  add_tune_query(sub, "export", "Write everything as JSON", run_tune_export, q, action,
                 [file](CLI::App* each) { file(each); });
  add_tune_query(sub, "import", "Take in what was exported elsewhere", run_tune_import, q, action,
                 [file](CLI::App* each) { file(each); });
  add_tune_query(sub, "clear", "Forget measurements", run_tune_clear, q, action,
                 [&q](CLI::App* each) { each->add_option("op", q.op, "Only this operation"); });
}

/// Whatever follows is for another program, also --help.
void add_bench(CLI::App& app, Action& action) {
  CLI::App* sub = app.add_subcommand("bench", "Measure ops, models and the library itself on every device");
  sub->set_help_flag();
  sub->prefix_command();
  sub->callback([sub, &action] { action = [sub] { return run_bench(sub->remaining()); }; });
}

void add_plain(CLI::App& app, const char* name, const char* doc, ExitCode (*run)(bool), bool& json, Action& action) {
  CLI::App* sub = app.add_subcommand(name, doc);
  sub->add_flag("--json", json, "As JSON");
  sub->callback([&json, &action, run] { action = [&json, run] { return run(json); }; });
}

ExitCode report(ExitCode code, const std::string& text) {
  std::fflush(stdout);
  std::fprintf(stderr, "backplane: %s\n", text.c_str());
  return code;
}

ExitCode run_guarded(const Action& action) {
  try {
    const ExitCode code = action();
    if (std::fflush(stdout) != 0) return report(ExitCode::file, "[cli] cannot write to standard output");
    return code;
  } catch (const CommandError& error) {
    return report(error.code(), error.what());
  } catch (const FileError& error) {
    return report(ExitCode::file, error.what());
  } catch (const std::bad_alloc&) {
    return report(ExitCode::failure, "[cli] out of memory / try a smaller --batch");
  } catch (const std::exception& error) {
    return report(ExitCode::failure, error.what());
  }
}

ExitCode main_with(int argc, char** argv) {
  CLI::App app{"Backplane: tensors, graphs and training on devices that are plugins", "backplane"};
  app.footer(kExitCodes);
  app.require_subcommand(1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // a script's defaults come first
  TrainOptions train;
  ExplainOptions explain;
  TuneOptions tune;
  TuneQuery tune_query;
  bool json = false;
  Action action;
  add_train(app, train, action);
  add_plain(app, "devices", "List the devices there are, best first", run_devices, json, action);
  add_plain(app, "doctor", "Check plugins, devices, settings and the cache", run_doctor, json, action);
  add_explain(app, explain, action);
  add_tune(app, tune, tune_query, action);
  add_bench(app, action);
  add_plain(app, "env", "List the environment variables and their values", run_env, json, action);
  add_plain(app, "version", "Print versions", run_version, json, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::ok : ExitCode::usage;
  }
  return run_guarded(action);
}

}  // namespace
}  // namespace backplane::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // `backplane devices | head` ends with an error code instead of a signal
  return static_cast<int>(backplane::cli::main_with(argc, argv));
}
