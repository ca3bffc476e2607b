// SPDX-License-Identifier: Apache-2.0
// A card driven through the raw C ABI, and operands laid out with guard zones: the ground the cards' tests stand on.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backplane/plugin.h"

namespace card_test {

/// What a test executable says about the card that it is for; one file per card defines card_facts().
struct CardFacts {
  const char* name;
  const char* plugin;
  std::map<std::string, std::string> settings;
  /// Everything that the cases ask for is offered. Otherwise only the five basic operations on f32, i32 and bool have
  /// to be, and a test of which nothing is offered shows as skipped, with the card's reason.
  bool offers_everything;
  /// Compiling a kernel takes long: of products of layouts, dtypes and shapes every n-th case is run. 1: all.
  uint32_t one_case_in;
  bool offers_dlpack = false;  ///< its memory has addresses
};
const CardFacts& card_facts();

/// A plugin loaded with plain dlopen, its device 0 opened with the given settings. Aborts the test run when it cannot.
class Card {
 public:
  /// `blobs` is the host's cache; without one the host has none.
  explicit Card(const char* path, std::map<std::string, std::string> settings = {},
                std::map<std::string, std::string>* blobs = nullptr);
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  std::vector<bp_variant> variants(const bp_op& op) const;
  bp_support query(const bp_op& op) const;

  const bp_plugin_api* api = nullptr;
  const bp_memory_api* memory = nullptr;
  const bp_queue_api* queues = nullptr;
  const bp_kernels_api* kernels = nullptr;
  bp_plugin* plugin = nullptr;
  bp_device* device = nullptr;
  bp_queue* queue = nullptr;
  template <class Table>
  const Table* interface(const char* name) const {
    return static_cast<const Table*>(api->get_interface(plugin, name, BP_VERSION(1, 0)));
  }
  std::vector<std::string> log;
  std::vector<bp_error> device_events;

 private:
  std::map<std::string, std::string> settings_;
  std::map<std::string, std::string>* blobs_;
  bp_host host_{};
};

/// The card under test and the oracle, opened once.
Card& card_under_test();
Card& reference();

bp_error make_error();

/// How a tensor lies in memory.
enum class Lay { dense, permuted, padded, reversed, stepped, broadcast_first, broadcast_last, scalar };
bp_tensor_desc lay_out(uint32_t dtype, const std::vector<int64_t>& shape, Lay lay = Lay::dense);

/// A tensor's storage on the host: `bytes` around element (0, ..., 0) at `origin`, elements not covered by the view are
/// gaps that nobody may touch.
struct Storage {
  explicit Storage(const bp_tensor_desc& desc);
  bp_tensor_desc desc;
  uint64_t origin = 0;  // byte offset of element (0, ..., 0)
  std::vector<char> bytes;

  void fill(unsigned char value) { std::fill(bytes.begin(), bytes.end(), static_cast<char>(value)); }
  /// All elements in row-major order, as doubles (integers are exact up to 2^53).
  std::vector<double> read() const;
  /// Calls value(flat index) for each element, in row-major order.
  void write(const std::function<double(int64_t)>& value);
  /// Calls f(byte offset of the element) in row-major order.
  void each(const std::function<void(uint64_t)>& f) const;
};
double read_element(uint32_t dtype, const char* at);
void write_element(uint32_t dtype, char* at, double value);
uint32_t element_size(uint32_t dtype);

/// A device buffer holding a Storage between guard zones; filled and read by its card's own queue, or another.
class Guarded {
 public:
  static constexpr uint64_t kGuard = 256;
  Guarded(Card& card, const char* data, uint64_t bytes, bp_queue* queue = nullptr);
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  bp_view view(uint64_t offset) const { return {buffer_, kGuard + offset}; }
  /// Waits for the queue.
  std::vector<char> contents() const;
  bool guards_intact() const;

 private:
  std::vector<char> everything() const;

  Card& card_;
  bp_queue* queue_;
  uint64_t bytes_;
  bp_buffer* buffer_ = nullptr;
};

}  // namespace card_test
