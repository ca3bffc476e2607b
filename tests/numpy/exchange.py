# SPDX-License-Identifier: Apache-2.0
"""Tensors of Backplane become arrays of NumPy and the other way round, in the same memory. exchange.py <bridge library>"""
import ctypes
import gc
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: this Python has no NumPy (python3-numpy)")
    sys.exit(77)

bridge = ctypes.CDLL(sys.argv[1])
bridge.bridge_lend.restype = bridge.bridge_lend_versioned.restype = bridge.bridge_address.restype = ctypes.c_void_p
bridge.bridge_address.argtypes = bridge.bridge_take.argtypes = [ctypes.c_void_p]
bridge.bridge_problem.restype = ctypes.c_char_p
bridge.bridge_bytes_in_use.restype = ctypes.c_uint64
bridge.bridge_read.argtypes = [ctypes.c_void_p, ctypes.c_uint64]

python = ctypes.pythonapi
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
UNUSED, USED, VERSIONED = b"dltensor", b"used_dltensor", b"dltensor_versioned"  # names live as long as the capsules


class Lent:
    """What NumPy asks for a tensor."""

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, stream=None, max_version=None, **_):
        if max_version is not None and max_version[0] >= 1:
            return python.PyCapsule_New(bridge.bridge_lend_versioned(), VERSIONED, None)
        pointer = bridge.bridge_lend()
        self.address = bridge.bridge_address(pointer)
        return python.PyCapsule_New(pointer, UNUSED, None)


def check(condition, what):
    if not condition:
        sys.exit("failed: " + what)


def tensors_become_arrays():
    before = bridge.bridge_bytes_in_use()
    tensor = Lent()
    array = np.from_dlpack(tensor)
    check(array.dtype == np.float32 and array.tolist() == [[0, 3], [1, 4], [2, 5]], f"elements, got {array}")
    check(array.strides == (4, 12), f"strides, got {array.strides}")
    check(not array.flags.writeable, "the array can be written to")
    if hasattr(tensor, "address"):
        check(array.ctypes.data == tensor.address, "the memory was copied")
    check(bridge.bridge_bytes_in_use() > before, "the memory is held")
    del array
    gc.collect()
    check(bridge.bridge_bytes_in_use() == before, "the memory was not given back")


def take(array):
    capsule = array.__dlpack__()
    if bridge.bridge_take(python.PyCapsule_GetPointer(capsule, UNUSED)) != 0:
        return bridge.bridge_problem().decode()  # the capsule still owns the tensor
    python.PyCapsule_SetName(capsule, USED)
    return ""


def arrays_become_tensors():
    views = {
        "whole": lambda a: a,
        "turned": lambda a: a.T,
        "part": lambda a: a[1:3, ::2],
        "backwards": lambda a: a[::-1, :, ::-1],
        "empty": lambda a: a[:0],
        "scalar": lambda a: a[3, 5, 1:2].reshape(()),
    }
    for dtype in (np.float32, np.float64, np.float16, np.int32, np.int64):
        for name, view in views.items():
            array = view(np.arange(48, dtype=dtype).reshape(4, 6, 2))
            references = sys.getrefcount(array)
            problem = take(array)
            check(problem == "", f"{name} of {dtype.__name__}: {problem}")
            check(sys.getrefcount(array) > references, f"{name}: the array is held")
            target = ctypes.create_string_buffer(max(array.nbytes, 1))
            check(bridge.bridge_read(target, array.nbytes) == 0, f"{name}: size")
            check(target.raw[:array.nbytes] == array.tobytes(), f"{name} of {dtype.__name__}: elements")
            bridge.bridge_drop()
            check(sys.getrefcount(array) == references, f"{name}: the array is given back")
    problem = take(np.zeros(3, np.uint16))
    check("uint16" in problem and "cast" in problem, f"what cannot be taken is named, got '{problem}'")


tensors_become_arrays()
arrays_become_tensors()
print("NumPy", np.__version__, "exchanged tensors with Backplane")
