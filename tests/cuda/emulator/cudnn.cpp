// SPDX-License-Identifier: Apache-2.0
// cuDNN's backend interface as far as the plugin uses it: descriptors that want every attribute, of its type, before they are
// finalised and none after; heuristics that name five engines; and plans that convolve and attend by loops. A mistake in an attribute
// is a refusal or a wrong number here.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "calls.h"
#include "control.h"
#include "cudnn_descriptor.h"

using namespace emulator::dnn;

namespace {

constexpr int kBadParam = 2000, kNotFinalized = 2004, kMisaligned = 2003, kNotSupported = 3000;

struct Session {
  void* stream = nullptr;
};

std::string last_error;
int fail(int status, const std::string& why) {
  last_error = why;
  return status;
}

std::string wrong_tensor(const Descriptor& d) {
  const Shape shape(d);
  if (shape.extents.size() != shape.strides.size() || shape.extents.size() < 4) return "a tensor has four axes or more";
  for (size_t i = 0; i < shape.extents.size(); ++i) {
    if (shape.extents[i] <= 0 || shape.strides[i] <= 0) return "an extent or a stride that is not positive";
  }
  return d.one<int64_t>(900) % 16 == 0 ? "" : "an alignment that is none of 16";
}

std::string wrong_operation(const Descriptor& d) {
  const Operation at = operation_of(d.kind);
  for (const int part : {at.x, at.w, at.y, at.convolution}) {
    if (!d.part(part).finalized) return "an operand that is not finalised";
  }
  const Descriptor& conv = d.part(at.convolution);
  const Shape x(d.part(at.x)), w(d.part(at.w)), y(d.part(at.y));
  const auto strides = conv.all<int64_t>(103), dilations = conv.all<int64_t>(102), low = conv.all<int64_t>(105),
             high = conv.all<int64_t>(104);
  const size_t rank = strides.size();
  if (x.extents.size() != rank + 2 || w.extents.size() != rank + 2 || y.extents.size() != rank + 2) return "operands of other ranks";
  if (y.extents[0] != x.extents[0] || y.extents[1] != w.extents[0] || x.extents[1] % w.extents[1] != 0) return "channels do not fit";
  for (size_t i = 0; i < rank; ++i) {
    const int64_t over = x.extents[i + 2] + low[i] + high[i] - dilations[i] * (w.extents[i + 2] - 1) - 1;
    if (low[i] < 0 || high[i] < 0 || over < 0 || over / strides[i] + 1 != y.extents[i + 2]) return "extents do not fit";
  }
  return "";
}

// Engines: 0 does everything; 1 uses tensor cores; 2 adds in any order and has a knob; 3 is Winograd, for filters of 3 x 3; 4 wants
// more workspace than anybody gives.
std::vector<int> notes_of(int64_t engine) {
  if (engine == 1) return {0};
  if (engine == 2) return {4};
  if (engine == 3) return {5, 9};
  return {};
}
int64_t workspace_of(int64_t engine) { return engine == 1 ? 4096 : engine == 4 ? int64_t{1} << 40 : 0; }

struct Named {
  int64_t engine, knob;  // a value of knob type 14, or -1
};
std::vector<Named> named_by(int mode) {
  if (mode == 3) return {{1, -1}, {2, 5}, {3, -1}, {4, -1}};
  if (mode == 1) return {{2, 6}, {1, -1}};
  return {{0, -1}};
}

const Descriptor& operation_in(const Descriptor& graph) { return graph.part(801); }
const Descriptor& graph_of(const Descriptor& config) { return config.part(-1); }

std::string wrong_plan(const Descriptor& d) {
  const Descriptor& config = d.part(401);
  const Descriptor& operation = operation_in(graph_of(config));
  if (is_attention(operation)) return config.one<int64_t>(-2) == 3 ? "no Winograd for attention" : "";
  const Shape w(operation.part(operation_of(operation.kind).w));
  for (size_t i = 2; i < w.extents.size(); ++i) {
    if (config.one<int64_t>(-2) == 3 && w.extents[i] != 3) return "no Winograd for this filter";
  }
  return "";
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return 92800; }
void cudnnGetLastErrorString(char* text, size_t bytes) { std::snprintf(text, bytes, "%s", last_error.c_str()); }
int cudnnCreate(Session** out) {
  if (emulator::trouble("cudnnCreate", false) != 0) return fail(1001, "an emulated failure");
  return *out = new Session, 0;
}
int cudnnDestroy(Session* session) { return delete session, 0; }
int cudnnSetStream(Session* session, void* stream) { return session->stream = stream, 0; }

int cudnnBackendCreateDescriptor(int kind, Descriptor** out) { return *out = new Descriptor{kind, false, {}}, 0; }
int cudnnBackendDestroyDescriptor(Descriptor* d) { return delete d, 0; }

int cudnnBackendSetAttribute(Descriptor* d, int attribute, int type, int64_t count, const void* values) {
  const AttributeRow* row = row_of(d->kind, attribute);
  if (d->finalized || row == nullptr || count < 1) return fail(kBadParam, "not an attribute that can be set");
  if (row->type != type && !(is_scale(attribute) && type == 5)) return fail(kBadParam, "another type is wanted");
  const char* from = static_cast<const char*>(values);
  if (type == 15 && !(*reinterpret_cast<const Descriptor* const*>(from))->finalized) return fail(kNotFinalized, "not finalised");
  d->values[attribute].assign(from, from + count * kTypeBytes[type]);
  return 0;
}

int cudnnBackendFinalize(Descriptor* d) {
  for (const AttributeRow& row : kAttributes) {
    if (row.kind == d->kind && row.required && d->values.count(row.attribute) == 0) {
      return fail(kBadParam, "attribute " + std::to_string(row.attribute) + " is missing");
    }
  }
  std::string wrong;
  if (d->kind == 17) wrong = wrong_tensor(*d);
  if (d->kind == 10 || d->kind == 11 || d->kind == 12) wrong = wrong_operation(*d);
  if (is_attention(*d)) wrong = wrong_attention(*d);
  if (d->kind == 1) {
    const size_t rank = static_cast<size_t>(d->one<int64_t>(106));
    for (const int list : {102, 103, 104, 105}) {
      if (rank < 2 || d->all<int64_t>(list).size() != rank) wrong = "lists of another length than the spatial rank";
    }
  }
  if (!wrong.empty()) return fail(kBadParam, wrong);
  if (d->kind == 5 && !(wrong = wrong_plan(*d)).empty()) return fail(kNotSupported, wrong);
  if (d->kind == 5) d->put<int64_t>(402, {workspace_of(d->part(401).one<int64_t>(-2))});
  d->finalized = true;
  return 0;
}

int cudnnBackendGetAttribute(Descriptor* d, int attribute, int type, int64_t asked, int64_t* count, void* values) {
  const AttributeRow* row = row_of(d->kind, attribute);
  if (!d->finalized || row == nullptr || row->type != type) return fail(kBadParam, "not an attribute that can be read");
  if (type != 15) {
    const std::vector<char> bytes = d->all<char>(attribute);
    *count = static_cast<int64_t>(bytes.size()) / kTypeBytes[type];
    if (asked != 0) std::memcpy(values, bytes.data(), static_cast<size_t>(std::min(asked, *count)) * static_cast<size_t>(kTypeBytes[type]));
    return 0;
  }
  std::vector<Descriptor> made;  // what the caller's descriptors become
  if (attribute == 202) {
    for (const Named& each : named_by(d->one<int>(200))) {
      Descriptor& config = made.emplace_back(Descriptor{3, true, {}});
      config.put<const Descriptor*>(-1, {&d->part(201)});
      config.put<int64_t>(-2, {each.engine});
      config.put<int64_t>(-3, {each.knob});
    }
  } else if (attribute == 300) {
    Descriptor& engine = made.emplace_back(Descriptor{2, true, {}});
    engine.put<int64_t>(1301, {d->one<int64_t>(-2)});
    engine.put<int>(1303, notes_of(d->one<int64_t>(-2)));
  } else if (attribute == 302 && d->one<int64_t>(-3) >= 0) {
    Descriptor& knob = made.emplace_back(Descriptor{7, true, {}});
    knob.put<int>(600, {14});
    knob.put<int64_t>(601, {d->one<int64_t>(-3)});
  }
  // The number of knobs is not told to those who bring no descriptors: seen with cuDNN 9.28.
  *count = attribute == 302 && asked == 0 ? 0 : static_cast<int64_t>(made.size());
  for (int64_t i = 0; i < std::min(asked, *count); ++i) {
    Descriptor* const target = static_cast<Descriptor**>(values)[i];
    if (target->kind != made[static_cast<size_t>(i)].kind) return fail(kBadParam, "descriptors of another kind");
    *target = made[static_cast<size_t>(i)];
  }
  return 0;
}

int cudnnBackendExecute(Session* session, Descriptor* plan, Descriptor* pack) {
  if (!plan->finalized || !pack->finalized) return fail(kNotFinalized, "not finalised");
  const auto uids = pack->all<int64_t>(1000);
  const auto pointers = pack->all<char*>(1001);
  char* const workspace = pack->one<char*>(1003);
  const int64_t bytes = plan->one<int64_t>(402);
  const Descriptor* const operation = &operation_in(graph_of(plan->part(401)));
  const std::vector<int64_t> by_value = values_of(*operation);
  const auto values = std::make_shared<std::map<int64_t, std::array<char, 4>>>();  // read now: they may be gone afterwards
  Memory memory;
  for (size_t i = 0; i < uids.size(); ++i) {
    memory[uids[i]] = pointers[i];
    if (std::find(by_value.begin(), by_value.end(), uids[i]) != by_value.end()) {
      std::memcpy((memory[uids[i]] = (*values)[uids[i]].data()), pointers[i], 4);
    } else if (reinterpret_cast<uintptr_t>(pointers[i]) % 16 != 0) {
      return fail(kMisaligned, "a tensor that is not where it said");
    }
  }
  if (bytes != 0 && (workspace == nullptr || reinterpret_cast<uintptr_t>(workspace) % 256 != 0)) return fail(kMisaligned, "workspace");
  cuda_emulator_enqueue(session->stream, [=] {  // with `values`, which `memory` points into
    if (bytes != 0) std::memset(workspace, 0xAB, static_cast<size_t>(bytes));  // it is ours to use
    if (is_attention(*operation)) attend(*operation, memory);
    else convolve(*operation, memory);
    return values == nullptr ? 1 : 0;
  });
  return 0;
}

}  // extern "C"
