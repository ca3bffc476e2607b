# SPDX-License-Identifier: Apache-2.0
"""Products by libraries that users know from Python, for python_peer.cpp: one function for each library.

It gets extents and dense f32 operands (buffers that outlive the call), and returns a call without arguments and a function
that gives the result as a buffer. Weights may be laid out here as the library likes them.
"""
import os

import numpy

THREADS = len(os.sched_getaffinity(0))


def operands(m, n, k, a, b):
    return numpy.frombuffer(a, "f").reshape(m, k), numpy.frombuffer(b, "f").reshape(k, n)


def torch(m, n, k, a, b):
    import torch as library
    library.set_num_threads(THREADS)
    # Copies: PyTorch warns of memory that it must not write to.
    x, y = (library.from_numpy(each.copy()) for each in operands(m, n, k, a, b))
    z = library.empty(m, n)
    return lambda: library.mm(x, y, out=z), lambda: z.numpy()


def onnxruntime(m, n, k, a, b):
    """B is a constant of the model, so it is packed once; inputs and result stay where they are."""
    import onnxruntime as library
    from onnx import TensorProto, helper, numpy_helper
    x, y = operands(m, n, k, a, b)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [m, k]), ("z", [m, n]))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "y"], ["z"])], "product", tensors[:1], tensors[1:],
                              [numpy_helper.from_array(y, "y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    options = library.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = library.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    z = numpy.empty((m, n), "f")
    binding = session.io_binding()
    for bind, name, array in ((binding.bind_input, "x", x), (binding.bind_output, "z", z)):
        bind(name, "cpu", 0, numpy.float32, array.shape, array.ctypes.data)
    return lambda: session.run_with_iobinding(binding), lambda: z
