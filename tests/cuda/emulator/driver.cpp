// SPDX-License-Identifier: Apache-2.0
// The CUDA driver's functions that the plugin calls, for emulated GPUs whose memory is the host's. For tests alone.
#include <cuda.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "blocks.h"
#include "calls.h"
#include "control.h"

using emulator::Place;
using emulator::Stream;

struct CUevent_st {
  std::shared_ptr<Place> place = std::make_shared<Place>();
  std::shared_ptr<uint64_t> time = std::make_shared<uint64_t>(0);
};
struct CUfunc_st {
  emulator::Entry entry;
  std::vector<int> sizes;  // of the arguments
};
struct CUmod_st {
  void* library;
  CUfunc_st function;
};
struct CUgraph_st {
  std::vector<emulator::Piece> pieces;
};
struct CUgraphExec_st {
  std::vector<emulator::Piece> pieces;
};

namespace emulator {

int run_until(const Place& place) {
  int code = 0;
  while (code == 0 && !step(place, &code)) {
  }
  return code;
}

bool step(const Place& place, int* code) {
  if (place.stream == nullptr || place.stream->done >= place.at) return true;
  Stream& stream = *place.stream;
  const Work work = std::move(stream.waiting.front());
  stream.waiting.pop_front();
  *code = work();
  ++stream.done;
  return stream.done >= place.at;
}

std::recursive_mutex mutex;

namespace {

int broken = 0;  // the code that every call returns from now on
uint64_t memory_used = 0;
using Ranges = std::map<char*, size_t>;
Ranges allocations;  // device memory
std::map<char*, int> owners;  // of allocations
Ranges pinned;
struct Fault {
  int code, after, count;
};
std::map<std::string, Fault> faults;

bool inside(const Ranges& ranges, const void* at, size_t bytes) {
  const char* p = static_cast<const char*>(at);
  auto range = ranges.upper_bound(const_cast<char*>(p));
  if (range == ranges.begin()) return false;
  --range;
  return p + bytes <= range->first + range->second;
}

}  // namespace

int owner(CUdeviceptr address, size_t bytes) {
  return inside(allocations, pointer(address), bytes) ? std::prev(owners.upper_bound(pointer(address)))->second : -1;
}

int trouble(const char* call, bool needs_context) {
  if (const auto at = faults.find(call); at != faults.end()) {
    Fault& fault = at->second;
    if (fault.after > 0) --fault.after;
    else if (fault.count != 0) {
      if (fault.count > 0) --fault.count;
      return fault.code;
    }
  }
  if (broken != 0) return broken;
  return needs_context && current == nullptr ? CUDA_ERROR_INVALID_CONTEXT : 0;
}

namespace {

/// Results of waited work stick.
CUresult stick(int code) {
  if (code != 0) broken = code;
  return static_cast<CUresult>(code);
}

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace
}  // namespace emulator

using namespace emulator;

extern "C" {

void cuda_emulator_fail(const char* call, int code, int after, int count) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  faults[call] = {code, after, count};
}
void cuda_emulator_reset() {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  faults.clear();
  broken = 0;
}
uint64_t cuda_emulator_memory_used() { return memory_used; }

}  // extern "C"

void cuda_emulator_enqueue(void* stream, std::function<int()> work) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  static_cast<CUstream>(stream)->stream->add(std::move(work));
}
std::function<int()> cuda_emulator_work_so_far(void* stream) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  return [place = static_cast<CUstream>(stream)->stream->here()] { return emulator::run_until(place); };
}

extern "C" {

CUresult cuInit(unsigned) { CALL_ANYWHERE("cuInit"); return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult code, const char** name) {
  static const std::map<int, const char*> names = {
      {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
      {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"}, {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
      {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
      {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"}};
  const auto at = names.find(code);
  *name = at != names.end() ? at->second : "an emulated error";
  return CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t* free, size_t* total) {
  CALL("cuMemGetInfo");
  *total = kMemory, *free = kMemory - memory_used;
  return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr* out, size_t bytes) {
  CALL("cuMemAlloc");
  if (memory_used + bytes > kMemory) return CUDA_ERROR_OUT_OF_MEMORY;
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  memory_used += bytes;
  allocations[static_cast<char*>(data)] = bytes;
  owners[static_cast<char*>(data)] = current->device;
  *out = reinterpret_cast<CUdeviceptr>(data);
  return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr address) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  const auto at = allocations.find(pointer(address));
  NEED(at != allocations.end());
  memory_used -= at->second;
  munmap(at->first, at->second);
  owners.erase(at->first);
  allocations.erase(at);
  return CUDA_SUCCESS;
}
CUresult cuMemHostAlloc(void** out, size_t bytes, unsigned) {
  CALL("cuMemHostAlloc");
  if (posix_memalign(out, 4096, bytes) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  pinned[static_cast<char*>(*out)] = bytes;
  return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* data) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  NEED(pinned.erase(static_cast<char*>(data)) == 1);
  std::free(data);
  return CUDA_SUCCESS;
}
CUresult cuMemHostRegister(void* data, size_t bytes, unsigned) {
  CALL("cuMemHostRegister");
  pinned[static_cast<char*>(data)] = bytes;
  return CUDA_SUCCESS;
}
CUresult cuMemHostUnregister(void* data) {
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
  NEED(pinned.erase(static_cast<char*>(data)) == 1);
  return CUDA_SUCCESS;
}
CUresult cuMemHostGetDevicePointer(CUdeviceptr* out, void* data, unsigned) {
  CALL("cuMemHostGetDevicePointer");
  *out = reinterpret_cast<CUdeviceptr>(data);
  return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  CALL("cuPointerGetAttribute");
  NEED(attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER);
  NEED(inside(allocations, pointer(address), 1) || inside(pinned, pointer(address), 1));
  std::memcpy(out, &address, sizeof(address));
  return CUDA_SUCCESS;
}

static bool reachable(CUdeviceptr address, size_t bytes) {
  return inside(allocations, pointer(address), bytes) || inside(pinned, pointer(address), bytes);
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  CALL("cuMemcpyHtoDAsync");
  NEED(reachable(to, bytes));
  if (inside(pinned, from, bytes)) {
    stream->stream->add([=] { return std::memcpy(pointer(to), from, bytes), 0; });
  } else {  // the driver copies pageable memory into memory of its own before it returns
    auto copy = std::make_shared<std::string>(static_cast<const char*>(from), bytes);
    stream->stream->add([=] { return std::memcpy(pointer(to), copy->data(), bytes), 0; });
  }
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  CALL("cuMemcpyDtoHAsync");
  NEED(reachable(from, bytes));
  stream->stream->add([=] { return std::memcpy(to, pointer(from), bytes), 0; });
  // Copies to pageable memory return when they are done.
  return inside(pinned, to, bytes) ? CUDA_SUCCESS : stick(run_until(stream->stream->here()));
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  CALL("cuMemcpyDtoDAsync");
  NEED(reachable(to, bytes) && reachable(from, bytes));
  stream->stream->add([=] { return std::memcpy(pointer(to), pointer(from), bytes), 0; });
  return CUDA_SUCCESS;
}

}  // extern "C"

template <class T>
static CUresult fill(CUdeviceptr to, size_t pitch, T value, size_t width, size_t height, CUstream stream) {
  NEED(to % sizeof(T) == 0 && pitch % sizeof(T) == 0 && reachable(to, height == 0 ? 0 : pitch * (height - 1) + width * sizeof(T)));
  stream->stream->add([=] {
    for (size_t y = 0; y < height; ++y) std::fill_n(reinterpret_cast<T*>(pointer(to) + y * pitch), width, value);
    return 0;
  });
  return CUDA_SUCCESS;
}

extern "C" {

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char v, size_t n, CUstream s) { CALL("cuMemsetD8Async"); return fill(to, n, v, n, 1, s); }
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short v, size_t n, CUstream s) { CALL("cuMemsetD16Async"); return fill(to, 2 * n, v, n, 1, s); }
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned v, size_t n, CUstream s) { CALL("cuMemsetD32Async"); return fill(to, 4 * n, v, n, 1, s); }
CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char v, size_t w, size_t h, CUstream s) { CALL("cuMemsetD2D8Async"); return fill(to, pitch, v, w, h, s); }
CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned v, size_t w, size_t h, CUstream s) { CALL("cuMemsetD2D32Async"); return fill(to, pitch, v, w, h, s); }

CUresult cuStreamCreate(CUstream* out, unsigned) { CALL("cuStreamCreate"); *out = new CUstream_st; return CUDA_SUCCESS; }
CUresult cuStreamDestroy(CUstream stream) { delete stream; return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream stream) { CALL("cuStreamSynchronize"); return stick(run_until(stream->stream->here())); }
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  CALL("cuStreamWaitEvent");
  if (stream->stream->capturing) {
    stream->stream->add([place = event->place] { return run_until(*place); });  // as it is when the graph runs
  } else {
    stream->stream->add([place = *event->place] { return run_until(place); });
  }
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* out, unsigned) { CALL("cuEventCreate"); *out = new CUevent_st; return CUDA_SUCCESS; }
CUresult cuEventDestroy(CUevent event) { delete event; return CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent event, CUstream stream) {
  CALL("cuEventRecord");
  stream->stream->add([time = event->time] { return *time = now_ns(), 0; });
  *event->place = stream->stream->here();
  return CUDA_SUCCESS;
}
CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) {
  CALL("cuEventRecordWithFlags");
  NEED(stream->stream->capturing);
  stream->stream->captured.push_back({[time = event->time] { return *time = now_ns(), 0; },
                                      [place = event->place](const Place& here) { *place = here; }});
  return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent event) {
  CALL("cuEventQuery");
  int code = 0;
  const bool done = step(*event->place, &code);
  return code != 0 ? stick(code) : done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
CUresult cuEventSynchronize(CUevent event) { CALL("cuEventSynchronize"); return stick(run_until(*event->place)); }
CUresult cuEventElapsedTime(float* ms, CUevent from, CUevent to) {
  CALL("cuEventElapsedTime");
  for (CUevent event : {from, to}) {
    if (event->place->stream != nullptr && event->place->stream->done < event->place->at) return CUDA_ERROR_NOT_READY;
  }
  *ms = static_cast<float>(1e-6 * static_cast<double>(static_cast<int64_t>(*to->time - *from->time)));
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode) {
  CALL("cuStreamBeginCapture");
  stream->stream->capturing = true;
  stream->stream->captured.clear();
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph* out) {
  CALL("cuStreamEndCapture");
  stream->stream->capturing = false;
  *out = new CUgraph_st{std::move(stream->stream->captured)};
  return CUDA_SUCCESS;
}
CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, unsigned long long) {
  CALL("cuGraphInstantiate");
  *out = new CUgraphExec_st{graph->pieces};
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  CALL("cuGraphLaunch");
  for (const emulator::Piece& piece : graph->pieces) {
    stream->stream->add(piece.work);
    if (piece.put) piece.put(stream->stream->here());
  }
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) { delete graph; return CUDA_SUCCESS; }
CUresult cuGraphExecDestroy(CUgraphExec graph) { delete graph; return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule* out, const void* image) {
  CALL("cuModuleLoadData");
  // The image is an ELF file; its length is where the table of sections ends.
  const char* bytes = static_cast<const char*>(image);
  if (std::memcmp(bytes, "\177ELF", 4) != 0) return CUDA_ERROR_INVALID_IMAGE;
  uint64_t sections = 0;
  uint16_t size = 0, count = 0;
  std::memcpy(&sections, bytes + 40, 8), std::memcpy(&size, bytes + 58, 2), std::memcpy(&count, bytes + 60, 2);
  char path[] = "/tmp/backplane-emulated-XXXXXX";  // a name of its own: dlopen gives an old library for an old name
  const int file = mkstemp(path);
  if (file < 0) return CUDA_ERROR_OUT_OF_MEMORY;
  const size_t length = sections + uint64_t{size} * count;
  const bool written = write(file, bytes, length) == static_cast<ssize_t>(length);
  close(file);
  void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path);
  if (library == nullptr) return CUDA_ERROR_INVALID_IMAGE;
  *out = new CUmod_st{library, {}};
  return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
  dlclose(module->library);
  delete module;
  return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction* out, CUmodule module, const char*) {
  CALL("cuModuleGetFunction");
  CUfunc_st& function = module->function;
  function.entry = reinterpret_cast<emulator::Entry>(dlsym(module->library, "bp_emulated_main"));
  const auto sizes = reinterpret_cast<int (*)(int*)>(dlsym(module->library, "bp_emulated_sizes"));
  if (function.entry == nullptr || sizes == nullptr) return CUDA_ERROR_NOT_FOUND;
  function.sizes.resize(static_cast<size_t>(sizes(nullptr)));
  sizes(function.sizes.data());
  *out = &function;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned, CUstream stream, void** arguments, void**) {
  CALL("cuLaunchKernel");
  NEED(gx != 0 && gy != 0 && gz != 0 && gy <= 65535 && gz <= 65535 && bx != 0 && by != 0 && bz != 0 && bz <= 64 && bx * by * bz <= 1024);
  std::vector<uint64_t> values(function->sizes.size());  // arguments are copied when the launch is put in
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(&values[i], arguments[i], static_cast<size_t>(function->sizes[i]));
  stream->stream->add([=, entry = function->entry, values = std::move(values)]() mutable {
    std::vector<void*> pointers;
    for (uint64_t& value : values) pointers.push_back(&value);
    const std::string problem = emulator::run_grid(entry, {gx, gy, gz}, {bx, by, bz}, pointers.data());
    if (problem.empty()) return 0;
    std::fprintf(stderr, "[emulated GPU] %s\n", problem.c_str());
    return static_cast<int>(CUDA_ERROR_LAUNCH_FAILED);
  });
  return CUDA_SUCCESS;
}

}  // extern "C"
