// SPDX-License-Identifier: Apache-2.0
// What tests tell the emulated driver, beside CUDA's own functions.
#pragma once

#include <cstdint>
#include <functional>

extern "C" {
/// From now on, after `after` more calls, `count` calls of `call` ("cuMemAlloc"; -1: all) return `code` and do nothing.
void cuda_emulator_fail(const char* call, int code, int after, int count);
/// Faults and breakage are forgotten.
void cuda_emulator_reset();
/// Bytes of device memory that are allocated.
uint64_t cuda_emulator_memory_used();
/// Copies between devices that were put into streams.
uint64_t cuda_emulator_peer_copies();
}

/// Work of an emulated library; it returns 0 or a CUresult.
void cuda_emulator_enqueue(void* stream, std::function<int()> work);
/// Runs what is in the stream by now; returns 0 or a CUresult.
std::function<int()> cuda_emulator_work_so_far(void* stream);
