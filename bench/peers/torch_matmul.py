#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch and ONNX Runtime on the products of a finished `backplane bench` run, where they are installed (PyPI).

  bench/peers/torch_matmul.py backplane-bench/results.json [--threads N]

Prints one line per product: our default's and choice's medians on each device of the run, and theirs. They run in another
process and at another time than ours, so a ratio says less than one of `backplane bench peers`: medians of 15 samples of at
least 2 ms each, after a warm-up; results are not compared.
"""
import argparse
import importlib.util
import json
import os
import statistics
import time


def median_us(call):
    """Of one call."""
    call()
    start = time.perf_counter()
    call()
    count = max(1, int(0.002 / max(time.perf_counter() - start, 1e-9)))
    samples = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(count):
            call()
        samples.append((time.perf_counter() - start) / count * 1e6)
    return statistics.median(samples)


def torch_product(m, n, k, threads):
    import torch
    torch.set_num_threads(threads)
    a, b, c = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    return lambda: torch.mm(a, b, out=c)


def onnx_product(m, n, k, threads):
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
               for name, shape in (("a", [m, k]), ("b", [k, n]), ("c", [m, n]))]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feeds = {"a": numpy.random.rand(m, k).astype("f"), "b": numpy.random.rand(k, n).astype("f")}
    return lambda: session.run(None, feeds)


LIBRARIES = {"PyTorch": (["torch"], torch_product), "ONNX Runtime": (["onnxruntime", "onnx", "numpy"], onnx_product)}


def products(path):
    """(M, N, K) -> {"cpu:0 default": us}"""
    with open(path, encoding="utf-8") as file:
        rows = [benchmark["backplane"] for benchmark in json.load(file)["benchmarks"]]
    found = {}
    for row in rows:
        extents = row.get("dimensions", {})
        if row["op"] != "matmul" or set(extents) != {"M", "N", "K"} or row["dtype"] != "f32" or not row.get("median_ns"):
            continue
        if row["choice"] in ("default", "tuned"):
            key = (extents["M"], extents["N"], extents["K"])
            found.setdefault(key, {})[f"{row['device']} {row['choice']}"] = row["median_ns"] / 1000
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    installed = {}
    for name, (modules, make) in LIBRARIES.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            print(f"{name}: not measured, {', '.join(missing)} is not installed")
        else:
            installed[name] = make
    for extents, ours in products(arguments.results).items():
        cells = [f"{name} {us:.1f} us" for name, us in ours.items()]
        cells += [f"{name} {median_us(make(*extents, arguments.threads)):.1f} us" for name, make in installed.items()]
        print("x".join(map(str, extents)) + ": " + ", ".join(cells))


if __name__ == "__main__":
    main()
