// SPDX-License-Identifier: Apache-2.0
#include "backplane/devicekit/digest.h"

#include <cstdio>
#include <cstring>

namespace backplane::devicekit {
namespace {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit changes half of the output bits.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Digest digest(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  uint64_t a = 0x9e3779b97f4a7c15u ^ bytes, b = 0xd1b54a32d192ed03u;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, at + i, bytes - i < 8 ? bytes - i : 8);
    a = mix(a ^ word);
    b = mix(b + word * 0x9e3779b97f4a7c15u + i);
  }
  return {{mix(a + b), mix(b ^ (a << 1))}};
}

std::string Digest::hex() const {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(words[0]),
                static_cast<unsigned long long>(words[1]));
  return text;
}

}  // namespace backplane::devicekit
