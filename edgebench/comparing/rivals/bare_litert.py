"""A bare loop over LiteRT, without any edgebench code, that speaks the protocol of measuring/alternating.py.

python bare_litert.py MODEL.tflite INPUTS.npz INPUT_NAMES THREADS SOCKET

The names are a list in JSON, in the order of the file's inputs; array I-J is input J of request I.
"""

import contextlib
import json
import sys
import time
from array import array
from multiprocessing.connection import Connection

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(model: str, inputs: str, names: str, threads: str, socket: str) -> None:
    interpreter = Interpreter(model, num_threads=int(threads))
    width = len(json.loads(names))
    with np.load(inputs, allow_pickle=False) as data:
        feeds = [[data[f"{i}-{j}"] for j in range(width)] for i in range(len(data.files) // width)]
    # Not get_input_details() and the like: they fail on names that are not UTF-8. Nothing may keep `_interpreter`.
    into, out = list(interpreter._interpreter.InputIndices()), list(interpreter._interpreter.OutputIndices())
    for index, given in zip(into, feeds[0], strict=True):
        if -1 in interpreter._interpreter.TensorSizeSignature(index, 0):
            interpreter.resize_tensor_input(index, given.shape, strict=True)
    interpreter.allocate_tensors()
    until = time.perf_counter() + 0.5
    while time.perf_counter() < until:
        infer(interpreter, into, out, feeds[0])
    connection = Connection(int(socket))
    connection.send_bytes(b"{}")
    while True:
        count = int(connection.recv_bytes())
        times = array("q")
        for i in range(count):
            before = time.perf_counter_ns()
            infer(interpreter, into, out, feeds[i % len(feeds)])
            times.append(time.perf_counter_ns() - before)
        connection.send_bytes(times[-(-count // 4) :].tobytes())


def infer(interpreter: Interpreter, into: list[int], out: list[int], feed: list[np.ndarray]) -> list[np.ndarray]:
    for index, given in zip(into, feed, strict=True):
        interpreter.set_tensor(index, given)
    interpreter.invoke()
    return [interpreter.get_tensor(index) for index in out]


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # the other side has closed the connection: done
        main(*sys.argv[1:])
