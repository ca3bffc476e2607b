// SPDX-License-Identifier: Apache-2.0
// A peer that runs in a Python interpreter inside of this process: python_products.py says what. build_python compiles it
// once for each library. What a call costs in Python, less than a microsecond, is what its users pay, too.
#include <Python.h>
#include <dlfcn.h>

#include <cstring>
#include <string>

#include "peer_library.h"

namespace {

struct Call {
  PyObject *run, *result;
  size_t bytes;
};

PyObject* products = nullptr;  // the function of our library

/// Python's own text of what went wrong, on stderr.
std::nullptr_t complain() {
  PyErr_Print();
  return nullptr;
}

/// The interpreter of the environment that the library was installed into.
bool start() {
  // Modules of Python look for its symbols in the process, and peers are loaded without giving theirs away.
  dlopen(PEER_PYTHON_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0;
  PyConfig_SetBytesString(&config, &config.executable, PEER_PYTHON);
  const PyStatus status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) return false;
  PyObject* path = PySys_GetObject("path");
  PyObject* folder = PyUnicode_FromString(PEER_FOLDER);
  PyList_Append(path, folder);
  Py_DECREF(folder);
  PyObject* module = PyImport_ImportModule("python_products");
  if (module != nullptr) products = PyObject_GetAttrString(module, PEER_LIBRARY);
  if (products == nullptr) complain();
  return products != nullptr;
}

PyObject* view(const float* data, int64_t count) {
  return PyMemoryView_FromMemory(const_cast<char*>(reinterpret_cast<const char*>(data)),
                                 static_cast<Py_ssize_t>(count * 4), PyBUF_READ);
}

void* matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) {
  PyObject* both = PyObject_CallFunction(products, "LLLNN", static_cast<long long>(m), static_cast<long long>(n),
                                         static_cast<long long>(k), view(a, m * k), view(b, k * n));
  if (both == nullptr) return complain();
  Call* call = new Call{Py_NewRef(PyTuple_GetItem(both, 0)), Py_NewRef(PyTuple_GetItem(both, 1)),
                        static_cast<size_t>(m * n) * 4};
  Py_DECREF(both);
  return call;
}

void enqueue(void* call) {
  PyObject* result = PyObject_CallNoArgs(static_cast<Call*>(call)->run);
  if (result == nullptr) complain();
  Py_XDECREF(result);
}

void finish(void*) {}  // their calls return when the result is there

void read(void* call, float* c) {
  const Call& from = *static_cast<Call*>(call);
  PyObject* result = PyObject_CallNoArgs(from.result);
  Py_buffer buffer;
  if (result != nullptr && PyObject_GetBuffer(result, &buffer, PyBUF_CONTIG_RO) == 0) {
    if (static_cast<size_t>(buffer.len) == from.bytes) std::memcpy(c, buffer.buf, from.bytes);
    PyBuffer_Release(&buffer);
  } else {
    complain();
  }
  Py_XDECREF(result);
}

void destroy(void* pointer) {
  Call* call = static_cast<Call*>(pointer);
  Py_DECREF(call->run);
  Py_DECREF(call->result);
  delete call;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const backplane_bench_peer* backplane_bench_peer_v1(int) {
  static const bool started = start();
  static const backplane_bench_peer peer{sizeof peer, PEER_NAME, nullptr, matmul, enqueue, finish, read, destroy};
  return started ? &peer : nullptr;
}
