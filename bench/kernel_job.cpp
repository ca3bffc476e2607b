// SPDX-License-Identifier: Apache-2.0
#include "kernel_job.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "backplane/autotune/race.h"
#include "backplane/autotune/trial.h"
#include "backplane/host/text.h"
#include "command_text.h"
#include "fill_row.h"

namespace backplane::bench {

namespace {

using autotune::Outcome;
using report::Choice;
using report::Row;
using report::Status;

constexpr size_t kGroup = 6;  // variants beside the default that are measured together: a round stays short
constexpr double kFewestRounds = 5;  // a variant for which there is not even time for so many is left out
constexpr double kReferenceFlops = 3e8;  // about a second on the reference device, which computes in plain loops

/// Whose results are right: the reference device where it answers in a second, else a device that is not under test.
host::DevicePtr oracle_for(const host::DevicePtr& device, const host::KernelOp& op, double flops) {
  host::Registry& registry = host::Registry::instance();
  if (flops <= kReferenceFlops) return registry.reference();
  for (const char* selector : {"cpu", "opencl"}) {
    try {
      const host::DevicePtr other = registry.open(selector);
      const bool does = op.with_op([&](const bp_op& raw) { return other->query(raw).verdict == BP_SUPPORT_YES; });
      if (other != device && does) return other;
    } catch (const host::Error&) {
      continue;  // not here
    }
  }
  return registry.reference();
}

std::string default_name(const std::vector<host::Variant>& variants) {
  for (const host::Variant& each : variants) {
    if ((each.flags & BP_VARIANT_DEFAULT) != 0) return each.name;
  }
  return variants.empty() ? "" : variants.front().name;
}

}  // namespace

Wanted Wanted::parse(const std::string& text) {
  Wanted wanted;
  for (const std::string& each : host::split(text, ',')) {
    if (each == "default") wanted.usual = true;
    else if (each == "tuned") wanted.tuned = true;
    else if (each == "all") wanted.usual = wanted.tuned = true, wanted.globs.emplace_back("*");
    // A variant's name has commas of its own: "tiled@bm=64,bn=64".
    else if (!wanted.globs.empty() && each.find('=') != std::string::npos && each.find('@') == std::string::npos)
      wanted.globs.back() += "," + each;
    else if (!each.empty()) wanted.globs.push_back(each);
    else
      throw Error("[bench] --variants '" + text + "' has an empty entry; say default, tuned, all or a variant's name");
  }
  return wanted;
}

bool Wanted::wants(const std::string& variant) const {
  return std::ranges::any_of(globs, [&](const std::string& glob) { return host::glob_match(glob, variant); });
}

KernelJob::KernelJob(host::DevicePtr device, const Case& c, const std::string& suite, const Wanted& wanted, Peers peers)
    : Job(std::move(device)), case_(c), wanted_(wanted), peers_(std::move(peers)) {
  base_.name = c.name, base_.suite = suite, base_.op = c.label;
  base_.attributes = c.attributes, base_.shape = extents_text(c.dimensions), base_.dimensions = c.dimensions;
  base_.dtype = name_of(c.dtype), base_.device = device_->name(), base_.plugin = device_->plugin_name();
  const graph::Cost cost = c.cost();
  if (cost.flops > 0) base_.flops = cost.flops;
  if (cost.bytes > 0) base_.bytes = cost.bytes;
  try {
    op_ = c.kernel_op();
    op_.with_op([&](const bp_op& raw) {
      const host::Support support = device_->query(raw);
      if (support.verdict != BP_SUPPORT_YES) return refuse(support.reason);
      const std::vector<host::Variant> variants = device_->variants(raw);
      usual_ = default_name(variants);
      if (wanted.usual) add_row(Choice::default_, usual_);
      if (wanted.tuned) add_row(Choice::tuned, "");
      for (const host::Variant& each : variants) {
        if (wanted.wants(each.name)) add_row(Choice::variant, each.name);
      }
      for (const std::string& name : contender_names(peers_)) add_row(Choice::peer, name);
    });
  } catch (const Error& error) {
    refuse(error.what());
  } catch (const host::Error& error) {
    add_row(Choice::default_, "");
    rows_.back().status = Status::failed, rows_.back().reason = error.what();
  }
}

void KernelJob::refuse(const std::string& reason) {
  add_row(Choice::default_, "");
  rows_.back().status = Status::refused;
  rows_.back().reason = reason;
}

void KernelJob::add_row(Choice choice, const std::string& variant) {
  Row& row = rows_.emplace_back(base_);
  row.choice = choice, row.variant = variant;
  if (choice == Choice::peer) {
    row.command = case_command(case_.line, device_->name(), "default,tuned", options_for(peers_));
    return;
  }
  const std::string choices = choice == Choice::variant ? variant : std::string(name_of(choice));
  row.command = case_command(case_.line, device_->name(), choices);
}

void KernelJob::run(const Allowance& allowance) {
  if (std::ranges::all_of(rows_, [](const Row& row) { return row.status != Status::unmeasured; })) return;
  // After the first, the tuner tries each variant in a child process.
  if (died_too_often(rows_, allowance, 2)) return;
  try {
    const Values inputs = suitable_values(op_);
    const Outcome outcome = tune(inputs, allowance);
    apply(outcome);
    race(outcome, inputs, allowance);
    for (Row& row : rows_) {
      if (row.status != Status::unmeasured) continue;
      row.status = Status::skipped;
      row.reason = "nothing of ours was timed that it could be raced with; " + rows_.front().reason;
    }
    graph::Stream::of(device_)->trim();
  } catch (const std::exception& error) {
    end_rows(rows_, error);
  }
}

Outcome KernelJob::tune(const Values& inputs, const Allowance& allowance) const {
  autotune::Request request;
  request.budget_ns = static_cast<uint64_t>(allowance.tune_s * 1e9);
  request.total_ns = static_cast<uint64_t>(allowance.total_s * 1e9);
  // However many variants there are to build, the default has to be checked and raced.
  request.build_budget_ns = std::min(request.build_budget_ns, request.total_ns / 6);
  request.oracle = oracle_for(device_, op_, base_.flops.value_or(0));
  request.inputs = inputs;
  request.try_risky = autotune::trial_in_child(device_, request.oracle);
  request.cancelled = allowance.cancelled;
  request.blocked = {allowance.deadly.begin(), allowance.deadly.end()};
  request.suspicious = !allowance.deaths.empty();
  request.progress = [](const autotune::Progress& at) { Attempt::shared().at_variant(at.variant); };
  return op_.with_op([&](const bp_op& raw) {
    for (const host::Variant& each : device_->variants(raw)) {
      const bool asked_for = wanted_.tuned || each.name == usual_ || wanted_.wants(each.name);
      if (!asked_for) request.blocked[each.name] = {autotune::Verdict::skipped, "not asked for"};
    }
    return autotune::tune(device_, raw, request);
  });
}

void KernelJob::apply(const Outcome& outcome) {
  const autotune::Candidate* lost = nullptr;
  for (const autotune::Candidate& each : outcome.candidates) {
    if (each.verdict == autotune::Verdict::device_lost) lost = &each;
  }
  for (Row& row : rows_) {
    if (row.choice == Choice::peer) continue;
    const std::string& name = row.choice == Choice::tuned ? outcome.chosen : row.variant;
    if (const autotune::Candidate* candidate = outcome.find(name)) {
      fill_verdict(row, *candidate);
    } else {  // nothing was chosen
      row.status = Status::failed;
      if (!outcome.candidates.empty()) fill_verdict(row, outcome.candidates.front());
      row.reason = outcome.why + (row.reason.empty() ? "" : "; the default: " + row.reason);
    }
  }
  if (lost != nullptr) throw DeviceLost("the device was lost by " + lost->variant + ": " + lost->reason);
}

std::vector<std::vector<std::string>> KernelJob::groups(const Outcome& outcome, const Allowance& allowance) {
  const auto tuner_ns = [&](const std::string& variant) {
    const autotune::Candidate* candidate = outcome.find(variant);
    return candidate != nullptr && candidate->times.samples > 0 ? candidate->times.median_ns : 0;
  };
  std::vector<std::string> first, others;
  const autotune::Candidate* usual = outcome.find(usual_);
  if (usual != nullptr && passed_check(*usual)) first.push_back(usual_);
  for (const Row& row : rows_) {
    const bool chosen = row.choice == Choice::tuned && std::ranges::count(first, row.variant) == 0;
    if (row.status == Status::measured && chosen) first.push_back(row.variant);
  }
  for (Row& row : rows_) {
    if (row.status != Status::measured || std::ranges::count(first, row.variant) > 0) continue;
    const double seconds = tuner_ns(row.variant) * 1e-9;
    if (kFewestRounds * seconds > allowance.measure_s) {
      row.status = Status::skipped;
      row.reason = fmt::format("one launch takes about {:.2g} s: too long for the time that this row has", seconds);
    } else if (std::ranges::count(others, row.variant) == 0) {
      others.push_back(row.variant);
    }
  }
  // Those that are about as fast share a group, so that none waits for a slow one.
  std::ranges::stable_sort(others, {}, tuner_ns);
  std::vector<std::vector<std::string>> all = {first};
  for (const std::string& name : others) {
    if (all.back().size() >= kGroup + first.size()) all.push_back({first.begin(), first.begin() + !first.empty()});
    all.back().push_back(name);
  }
  return all;
}

void KernelJob::race(const Outcome& outcome, const Values& inputs, const Allowance& allowance) {
  const auto operands = std::make_shared<Operands>(device_, op_, inputs);
  std::vector<std::vector<std::string>> all = groups(outcome, allowance);
  Allowance each = allowance;
  each.measure_s /= static_cast<double>(all.size());
  std::vector<Contender> contenders;  // they run beside the first group
  if (!peers_.empty() && !all[0].empty()) {
    Prepared(operands, all[0][0]).launch();  // for results to compare theirs with
    const PeerOperands same{inputs, operands->outputs()[0]};
    contenders = prepare_contenders(peers_, problem_of(same), *allowance.tried);
  }
  for (const std::vector<std::string>& names : all) {
    if (!names.empty()) race_group(names, operands, std::exchange(contenders, {}), each);
  }
}

Peers KernelJob::peers_to_build() const {
  Peers some;
  const bool runs = std::ranges::any_of(rows_, [](const Row& row) { return row.status == Status::unmeasured; });
  for (const std::shared_ptr<Peer>& each : peers_) {
    if (runs && each->does(case_) && each->settings().size() > 1) some.push_back(each);
  }
  return some;
}

KernelJob::PeerOperands KernelJob::peer_operands() const {
  const Values inputs = suitable_values(op_);
  const auto operands = std::make_shared<Operands>(device_, op_, inputs);
  Prepared(operands, usual_).launch();
  return {inputs, operands->outputs()[0]};
}

Problem KernelJob::problem_of(const PeerOperands& operands) const {
  return {case_, operands.inputs, operands.right, peer_device(*device_), key()};
}

void KernelJob::race_group(std::vector<std::string> names, const std::shared_ptr<Operands>& operands,
                           const std::vector<Contender>& contenders, const Allowance& allowance) {
  const report::Clock clock = device_->timing() != nullptr ? report::Clock::device : report::Clock::host;
  const std::unique_ptr<DeviceClock> stamps = device_clock(operands->stream());
  std::vector<std::unique_ptr<Prepared>> kernels;
  std::vector<Contestant> contestants;
  for (const std::string& name : names) {
    Attempt::shared().at_variant(name);
    kernels.push_back(std::make_unique<Prepared>(operands, name));
    contestants.push_back(kernels.back()->contestant(peers_.empty() ? stamps.get() : nullptr));
    contestants.back().repeat = allowance.repeat;
  }
  for (const Contender& each : contenders) {
    if (!each.call) continue;
    names.push_back(each.name);
    contestants.push_back(each.call->contestant());
  }
  Attempt::shared().at_variant("");
  const Measurement m = measure(contestants, {.budget_s = allowance.measure_s,
                                              .cores = allowance.cores,
                                              .turns = allowance.turns,
                                              .name = report::identity(rows_[0]) + host::join(names, ",")});
  for (Row& row : rows_) {
    if (row.choice == Choice::peer && !row.median_ns) fill_peer(row, contenders);
    if (row.status != Status::measured || row.median_ns) continue;
    const auto at = std::ranges::find(names, row.variant);
    if (at == names.end()) continue;  // of another group
    const auto index = static_cast<size_t>(at - names.begin());
    // Beside peers everything is timed by the host: it is the only clock that both have.
    fill_times(row, m, index, peers_.empty() ? clock : report::Clock::host);
    if (names[0] == usual_) row.to_default = paired_ratio(m, index, 0);
  }
}

void KernelJob::fill_peer(Row& row, const std::vector<Contender>& contenders) {
  for (const Contender& each : contenders) {
    if (each.name != row.variant) continue;
    row.status = each.call ? Status::measured : each.left_out ? Status::skipped : Status::refused;
    row.reason = each.reason;
    if (each.build_ns > 0) row.compile_ns = each.build_ns;
    if (each.call || each.error > 0) row.error = each.error, row.allowed = kPeerAllowed;
    if (each.error > kPeerAllowed) row.status = Status::wrong;
  }
}

}  // namespace backplane::bench
