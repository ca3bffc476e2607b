// SPDX-License-Identifier: Apache-2.0
#include "card.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "support/float8.h"

namespace card_test {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}
/// Where the plugin is that stood at `built` in the build tree: in the folder BACKPLANE_TEST_PLUGINS, if that is set.
std::string plugin_path(const char* built) {
  const char* folder = std::getenv("BACKPLANE_TEST_PLUGINS");
  return folder != nullptr ? folder + std::string(std::strrchr(built, '/')) : built;
}
void check(bp_status status, const bp_error& error, const char* what) {
  if (status < 0) give_up(std::string(what) + ": " + error.message);
}

float half_to_float(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double sign = (h & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return static_cast<float>(mantissa != 0 ? std::nan("") : sign * INFINITY);
  if (exponent == 0) return static_cast<float>(sign * std::ldexp(mantissa, -24));
  return static_cast<float>(sign * std::ldexp(1024 + mantissa, exponent - 25));
}
uint16_t float_to_half(double value) {  // nearest even by search in the exact grid
  if (std::isnan(value)) return 0x7e00;
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double a = std::fabs(value);
  if (a >= 65520) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(a, &exponent);
  const int e = std::max(exponent, -13);
  const double quantum = std::ldexp(1.0, e - 11);
  const double steps = std::nearbyint(a / quantum);
  const uint32_t bits = static_cast<uint32_t>(steps);  // in [1024, 2048] when normal
  if (exponent < -13) return static_cast<uint16_t>(sign | bits);
  return static_cast<uint16_t>(sign | (((e + 13) << 10) + bits));
}
uint16_t float_to_bf16(float value) {
  uint32_t u;
  std::memcpy(&u, &value, 4);
  if (std::isnan(value)) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

}  // namespace

bp_error make_error() {
  bp_error error{};
  error.size = sizeof(error);
  return error;
}

Card::Card(const char* path, std::map<std::string, std::string> settings, std::map<std::string, std::string>* blobs)
    : settings_(std::move(settings)), blobs_(blobs) {
  void* library = dlopen(plugin_path(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) give_up(dlerror());
  auto entry = reinterpret_cast<bp_plugin_entry>(dlsym(library, BP_PLUGIN_ENTRY_NAME));
  if (entry == nullptr) give_up(dlerror());
  host_.size = sizeof(host_);
  host_.abi_version = BP_ABI_VERSION;
  host_.context = this;
  host_.log = [](void* self, int32_t, const char*, const char* message) {
    static_cast<Card*>(self)->log.push_back(message);
  };
  host_.config = [](void* self, const char* key, char* value, uint64_t capacity, uint64_t* length) -> bp_status {
    const auto& all = static_cast<Card*>(self)->settings_;
    const auto at = all.find(key);
    if (at == all.end()) return BP_E_NOT_FOUND;
    *length = at->second.size();
    if (capacity <= *length) return BP_INCOMPLETE;
    std::memcpy(value, at->second.c_str(), *length + 1);
    return BP_OK;
  };
  if (blobs_ != nullptr) {
    host_.cache_get = [](void* self, const char* key, void* data, uint64_t capacity, uint64_t* length) -> bp_status {
      const auto& all = *static_cast<Card*>(self)->blobs_;
      const auto at = all.find(key);
      if (at == all.end()) return BP_E_NOT_FOUND;
      *length = at->second.size();
      if (capacity < *length) return BP_INCOMPLETE;
      if (*length != 0) std::memcpy(data, at->second.data(), *length);
      return BP_OK;
    };
    host_.cache_put = [](void* self, const char* key, const void* data, uint64_t length) -> bp_status {
      (*static_cast<Card*>(self)->blobs_)[key] = {static_cast<const char*>(data), length};
      return BP_OK;
    };
  }
  host_.device_event = [](void* self, uint32_t, const bp_error* what) {
    static_cast<Card*>(self)->device_events.push_back(*what);
  };
  bp_error error = make_error();
  check(entry(&host_, &api, &error), error, "entry");
  check(api->create(&host_, &plugin, &error), error, "create");
  check(api->open(plugin, 0, &device, &error), error, "open");
  memory = interface<bp_memory_api>(BP_INTERFACE_MEMORY);
  queues = interface<bp_queue_api>(BP_INTERFACE_QUEUE);
  kernels = interface<bp_kernels_api>(BP_INTERFACE_KERNELS);
  if (memory == nullptr || queues == nullptr || kernels == nullptr) give_up("a required interface is missing");
  check(queues->create(device, &queue, &error), error, "queue");
}

Card::~Card() {
  queues->destroy(queue);
  api->close(device);
  api->destroy(plugin);
}

std::vector<bp_variant> Card::variants(const bp_op& op) const {
  bp_error error = make_error();
  uint32_t count = 0;
  check(kernels->variants(device, &op, nullptr, sizeof(bp_variant), 0, &count, &error), error, "variants");
  std::vector<bp_variant> list(count);
  for (bp_variant& variant : list) variant.size = sizeof(variant);
  check(kernels->variants(device, &op, list.data(), sizeof(bp_variant), count, &count, &error), error, "variants");
  return list;
}

bp_support Card::query(const bp_op& op) const {
  bp_support support{};
  support.size = sizeof(support);
  bp_error error = make_error();
  check(kernels->query(device, &op, &support, &error), error, "query");
  return support;
}

Card& card_under_test() {
  static Card* card = new Card(card_facts().plugin, card_facts().settings);
  return *card;
}
Card& reference() {
  static Card* card = new Card(REFERENCE_PLUGIN);
  return *card;
}

uint32_t element_size(uint32_t dtype) {
  switch (dtype) {
    case BP_F64: case BP_I64: return 8;
    case BP_F16: case BP_BF16: return 2;
    case BP_F8_E4M3: case BP_F8_E5M2: case BP_BOOL: return 1;
    default: return 4;
  }
}

double read_element(uint32_t dtype, const char* at) {
  const auto as = [&](auto value) {
    std::memcpy(&value, at, sizeof(value));
    return value;
  };
  switch (dtype) {
    case BP_F32: return as(float{});
    case BP_F64: return as(double{});
    case BP_F16: return half_to_float(as(uint16_t{}));
    case BP_BF16: {
      const uint32_t u = static_cast<uint32_t>(as(uint16_t{})) << 16;
      float f;
      std::memcpy(&f, &u, 4);
      return f;
    }
    case BP_I32: return as(int32_t{});
    case BP_I64: return static_cast<double>(as(int64_t{}));
    case BP_F8_E4M3: return backplane::test::decode(backplane::test::kE4M3, as(uint8_t{}));
    case BP_F8_E5M2: return backplane::test::decode(backplane::test::kE5M2, as(uint8_t{}));
    default: return as(uint8_t{});
  }
}
void write_element(uint32_t dtype, char* at, double value) {
  const auto as = [&](auto typed) { std::memcpy(at, &typed, sizeof(typed)); };
  switch (dtype) {
    case BP_F32: return as(static_cast<float>(value));
    case BP_F64: return as(value);
    case BP_F16: return as(float_to_half(value));
    case BP_BF16: return as(float_to_bf16(static_cast<float>(value)));
    case BP_I32: return as(static_cast<int32_t>(value));
    case BP_I64: return as(static_cast<int64_t>(value));
    case BP_F8_E4M3: return as(backplane::test::encode(backplane::test::kE4M3, value));
    case BP_F8_E5M2: return as(backplane::test::encode(backplane::test::kE5M2, value));
    default: return as(static_cast<uint8_t>(value));
  }
}

bp_tensor_desc lay_out(uint32_t dtype, const std::vector<int64_t>& shape, Lay lay) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  desc.rank = static_cast<uint32_t>(shape.size());
  int64_t stride = lay == Lay::stepped ? 2 : 1;
  for (size_t k = 0; k < shape.size(); ++k) {
    // Storage order: row-major, or with the axes the other way round.
    const size_t i = lay == Lay::permuted ? k : shape.size() - 1 - k;
    desc.shape[i] = shape[i];
    desc.strides[i] = lay == Lay::reversed ? -stride : lay == Lay::scalar ? 0 : stride;
    if (lay == Lay::broadcast_first && i == 0) desc.strides[i] = 0;
    if (lay == Lay::broadcast_last && i + 1 == shape.size()) {
      desc.strides[i] = 0;
      continue;
    }
    stride *= shape[i];
    if (lay == Lay::padded) stride += 3;
  }
  return desc;
}

Storage::Storage(const bp_tensor_desc& d) : desc(d) {
  int64_t low = 0, high = 0;
  bool empty = false;
  for (uint32_t i = 0; i < d.rank; ++i) {
    if (d.shape[i] == 0) empty = true;
    (d.strides[i] < 0 ? low : high) += (d.shape[i] - 1) * d.strides[i];
  }
  const int64_t size = element_size(d.dtype);
  origin = empty ? 0 : static_cast<uint64_t>(-low * size);
  bytes.resize(empty ? 0 : static_cast<size_t>((high - low + 1) * size));
}
void Storage::each(const std::function<void(uint64_t)>& f) const {
  int64_t count = 1;
  for (uint32_t i = 0; i < desc.rank; ++i) count *= desc.shape[i];
  int64_t at[BP_MAX_RANK] = {}, offset = 0;
  const int64_t size = element_size(desc.dtype);
  for (int64_t e = 0; e < count; ++e) {
    f(static_cast<uint64_t>(static_cast<int64_t>(origin) + offset * size));
    for (uint32_t i = desc.rank; i-- > 0;) {
      offset += desc.strides[i];
      if (++at[i] < desc.shape[i]) break;
      offset -= desc.strides[i] * desc.shape[i];
      at[i] = 0;
    }
  }
}
std::vector<double> Storage::read() const {
  std::vector<double> values;
  each([&](uint64_t at) { values.push_back(read_element(desc.dtype, bytes.data() + at)); });
  return values;
}
void Storage::write(const std::function<double(int64_t)>& value) {
  int64_t e = 0;
  each([&](uint64_t at) { write_element(desc.dtype, bytes.data() + at, value(e++)); });
}

Guarded::Guarded(Card& card, const char* data, uint64_t bytes, bp_queue* queue)
    : card_(card), queue_(queue != nullptr ? queue : card.queue), bytes_(bytes) {
  bp_error error = make_error();
  check(card.memory->alloc(card.device, bytes + 2 * kGuard, BP_MEMORY_DEVICE, &buffer_, &error), error, "alloc");
  std::vector<char> all(bytes + 2 * kGuard, static_cast<char>(0xA5));
  if (data != nullptr && bytes != 0) std::memcpy(all.data() + kGuard, data, bytes);
  if (data == nullptr) std::memset(all.data() + kGuard, 0xFF, bytes);
  check(card.queues->upload(queue_, {buffer_, 0}, all.data(), all.size(), 0, &error), error, "upload");
}
Guarded::~Guarded() { card_.memory->free(buffer_); }
std::vector<char> Guarded::everything() const {
  std::vector<char> all(bytes_ + 2 * kGuard);
  bp_error error = make_error();
  check(card_.queues->download(queue_, all.data(), {buffer_, 0}, all.size(), &error), error, "download");
  check(card_.queues->finish(queue_, &error), error, "finish");
  return all;
}
std::vector<char> Guarded::contents() const {
  const std::vector<char> all = everything();
  return {all.begin() + kGuard, all.end() - kGuard};
}
bool Guarded::guards_intact() const {
  const std::vector<char> all = everything();
  for (uint64_t i = 0; i < kGuard; ++i) {
    if (static_cast<unsigned char>(all[i]) != 0xA5) return false;
    if (static_cast<unsigned char>(all[kGuard + bytes_ + i]) != 0xA5) return false;
  }
  return true;
}

}  // namespace card_test
