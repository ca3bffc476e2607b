// SPDX-License-Identifier: Apache-2.0
// What a descriptor of emulated cuDNN is: attributes by number, of which a table says whose they are and what they hold. The
// numbers are cuDNN 9's, written down once more from its documentation, so that a slip in the plugin's is not repeated.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace emulator::dnn {

struct Descriptor {
  int kind;
  bool finalized = false;
  std::map<int, std::vector<char>> values;  // by attribute

  template <class T>
  std::vector<T> all(int attribute) const {
    const auto at = values.find(attribute);
    if (at == values.end()) return {};
    std::vector<T> result(at->second.size() / sizeof(T));
    if (!result.empty()) std::memcpy(result.data(), at->second.data(), at->second.size());
    return result;
  }
  template <class T>
  T one(int attribute) const {
    const std::vector<T> result = all<T>(attribute);
    return result.empty() ? T{} : result[0];
  }
  const Descriptor& part(int attribute) const { return *one<const Descriptor*>(attribute); }
  template <class T>
  void put(int attribute, std::vector<T> list) {
    std::vector<char>& bytes = values[attribute];
    bytes.resize(list.size() * sizeof(T));
    if (!bytes.empty()) std::memcpy(bytes.data(), list.data(), bytes.size());
  }
};

/// What an attribute holds, and what descriptor it belongs to.
struct AttributeRow {
  int attribute, kind, type;
  bool required;
};
inline constexpr int kTypeBytes[] = {8, 4, 1, 8, 4, 8, 8, 4, 4, 4, 4, 4, 4, 4, 4, 8};  // by cudnnBackendAttributeType_t
inline constexpr AttributeRow kAttributes[] = {
    {100, 1, 1, true},    {101, 1, 7, true},    {102, 1, 3, true},   {103, 1, 3, true},   {104, 1, 3, true},
    {105, 1, 3, true},    {106, 1, 3, true},    {200, 4, 8, true},   {201, 4, 15, true},  {202, 4, 15, false},
    {300, 3, 15, false},  {302, 3, 15, false},  {400, 5, 0, true},   {401, 5, 15, true},  {402, 5, 3, false},
    {600, 7, 9, false},   {601, 7, 3, false},   {700, 10, 4, true},  {701, 10, 4, true},  {702, 10, 15, true},
    {703, 10, 15, true},  {704, 10, 15, true},  {705, 10, 15, true}, {706, 12, 4, true},  {707, 12, 4, true},
    {708, 12, 15, true},  {709, 12, 15, true},  {710, 12, 15, true}, {711, 12, 15, true}, {712, 11, 4, true},
    {713, 11, 4, true},   {714, 11, 15, true},  {715, 11, 15, true}, {716, 11, 15, true}, {717, 11, 15, true},
    {800, 15, 0, true},   {801, 15, 15, true},  {900, 17, 3, true},  {901, 17, 1, true},  {902, 17, 3, true},
    {903, 17, 3, true},   {906, 17, 3, true},   {1000, 16, 3, true}, {1001, 16, 6, true}, {1003, 16, 6, true},
    {1301, 2, 3, false},  {1303, 2, 11, false},
    {907, 17, 2, false},  {908, 17, 2, false},  {2800, 41, 15, true}, {2801, 41, 15, true}, {2802, 41, 15, true},
    {2803, 41, 15, true}, {2804, 41, 15, false}, {2805, 41, 15, false}, {2811, 41, 15, false}, {2812, 41, 3, false},
    {2813, 41, 3, false}, {2851, 43, 15, true}, {2852, 43, 15, true}, {2853, 43, 15, true}, {2854, 43, 15, true},
    {2855, 43, 15, true}, {2856, 43, 15, false}, {2859, 43, 15, true}, {2860, 43, 15, true}, {2861, 43, 15, true},
    {2862, 43, 15, true}, {2867, 43, 15, false}, {2868, 43, 3, false}, {2869, 43, 3, false}, {3000, 44, 15, true},
    {3004, 44, 15, true}, {3005, 44, 15, true}, {3006, 44, 15, true}, {3007, 44, 14, true}};
inline const AttributeRow* row_of(int kind, int attribute) {
  for (const AttributeRow& row : kAttributes) {
    if (row.kind == kind && row.attribute == attribute) return &row;
  }
  return nullptr;
}
/// Factors before and after a convolution are floats, or doubles.
inline bool is_scale(int attribute) { return attribute >= 700 && attribute <= 713 && (attribute % 6 == 4 || attribute % 6 == 5); }

/// Where an operation's x, w, y and convolution stand.
struct Operation {
  int x, w, y, convolution, alpha, beta, result;
};
inline Operation operation_of(int kind) {
  if (kind == 10) return {704, 703, 705, 702, 700, 701, 705};
  if (kind == 12) return {710, 709, 711, 708, 706, 707, 710};
  return {716, 715, 717, 714, 712, 713, 715};
}

struct Shape {
  std::vector<int64_t> extents, strides;
  explicit Shape(const Descriptor& tensor) : extents(tensor.all<int64_t>(902)), strides(tensor.all<int64_t>(903)) {}
};

/// Where tensors lie, by their uids; those that are passed by value lie on the host.
using Memory = std::map<int64_t, char*>;
/// Compute the operation.
void convolve(const Descriptor& operation, const Memory& memory);
void attend(const Descriptor& operation, const Memory& memory);

inline bool is_attention(const Descriptor& operation) { return operation.kind == 41 || operation.kind == 43; }
/// Empty, or what does not fit.
std::string wrong_attention(const Descriptor& operation);
/// Of tensors that are passed by value.
std::vector<int64_t> values_of(const Descriptor& operation);

}  // namespace emulator::dnn
