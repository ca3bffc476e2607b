// SPDX-License-Identifier: Apache-2.0
#include "hash.h"

#include <cstdio>
#include <cstring>

namespace backplane::opencl {
namespace {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit changes half of the output bits.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Hash hash_bytes(std::string_view bytes) {
  uint64_t a = 0x9e3779b97f4a7c15u ^ bytes.size(), b = 0xd1b54a32d192ed03u;
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, bytes.size() - at < 8 ? bytes.size() - at : 8);
    a = mix(a ^ word);
    b = mix(b + word * 0x9e3779b97f4a7c15u + at);
  }
  return {mix(a + b), mix(b ^ (a << 1))};
}

std::string hash_text(std::string_view bytes) {
  const Hash hash = hash_bytes(bytes);
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash[0]),
                static_cast<unsigned long long>(hash[1]));
  return text;
}

}  // namespace backplane::opencl
