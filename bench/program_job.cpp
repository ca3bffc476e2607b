// SPDX-License-Identifier: Apache-2.0
#include "program_job.h"

#include "backplane/host/error.h"
#include "command_text.h"
#include "fill_row.h"

namespace backplane::bench {

int64_t ProgramArguments::dimension(std::string_view name) const {
  for (const auto& [each, value] : dimensions) {
    if (each == name) return value;
  }
  throw Error("[bench] the line needs a dimension " + std::string(name));
}

std::string ProgramArguments::word(const std::string& name, const std::string& usual) const {
  const auto found = words.find(name);
  return found != words.end() ? found->second : usual;
}

const Program* find_program(std::string_view name) {
  for (const auto programs : {model_programs(), launch_programs(), host_programs(), transfer_programs()}) {
    for (const Program& each : programs) {
      if (each.name == name) return &each;
    }
  }
  return nullptr;
}

ProgramJob::ProgramJob(const Program& program, ProgramArguments arguments)
    : Job(arguments.device), program_(program), arguments_(std::move(arguments)) {}

std::vector<std::unique_ptr<Job>> ProgramJob::of(const Program& program, const SuiteLine& line,
                                                 const std::string& suite, const Overrides& overrides,
                                                 const host::DevicePtr& device) {
  std::vector<std::unique_ptr<Job>> jobs;
  const std::optional<SuiteLine> used = overridden(line, {overrides.dimensions, {}});
  if (!used) return jobs;
  for (const Dimensions& dimensions : combinations(used->dimensions)) {
    ProgramArguments arguments{device, dimensions, {used->attributes.begin(), used->attributes.end()}};
    report::Row row;
    row.suite = suite, row.op = line.label, row.dimensions = dimensions, row.shape = extents_text(dimensions);
    std::string text = line.op + (line.label == line.op ? "" : " name=" + line.label), name;
    for (const auto& [key, value] : used->attributes) {
      row.attributes += (row.attributes.empty() ? "" : ",") + key + "=" + value;
      text += " " + key + "=" + value;
    }
    name = row.attributes;
    for (const auto& [key, value] : dimensions) {
      name += (name.empty() ? "" : ",") + key + "=" + std::to_string(value);
      text += " " + key + "=" + std::to_string(value);
    }
    row.name = line.label + (name.empty() ? "" : "/" + name), row.dtype = "f32";
    row.device = device != nullptr ? device->name() : "null:0",
    row.plugin = device != nullptr ? device->plugin_name() : "null";
    row.command = case_command(text, program.on_host ? "all" : row.device, "");
    if (device == nullptr) {
      row.status = report::Status::refused;
      row.reason = "the null plugin, which costs nothing, is not beside this build";
    }
    std::unique_ptr<ProgramJob> job(new ProgramJob(program, std::move(arguments)));
    job->rows_.push_back(std::move(row));
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void ProgramJob::run(const Allowance& allowance) {
  report::Row& row = rows_.front();
  if (row.status != report::Status::unmeasured) return;
  if (died_too_often(rows_, allowance, 1)) return;
  Work work;
  try {
    work = program_.prepare(arguments_);
  } catch (const Error& error) {
    row.status = report::Status::refused, row.reason = error.what();
    return;
  } catch (const std::exception& error) {
    return end_rows(rows_, error);
  }
  row.error = work.error, row.allowed = work.allowed, row.compile_ns = work.compile_ns;
  row.flops = work.flops, row.bytes = work.bytes;
  if (work.error && !(*work.error <= work.allowed.value_or(0))) {
    row.status = report::Status::wrong, row.reason = "the result is off by more than it may be";
    return;
  }
  try {
    Contestant contestant(work.call, work.finish);
    contestant.repeat = allowance.repeat;
    Measurement m = measure({contestant}, {.budget_s = allowance.measure_s,
                                           .cores = allowance.cores,
                                           .turns = allowance.turns,
                                           .name = report::identity(row)});
    Times& times = m.of[0];
    for (double* ns : {&times.median_ns, &times.p10_ns, &times.p90_ns}) *ns /= work.calls;
    for (double& ns : times.samples_ns) ns /= work.calls;
    fill_times(row, m, 0, report::Clock::host);
  } catch (const std::exception& error) {
    end_rows(rows_, error);
  }
}

}  // namespace backplane::bench
