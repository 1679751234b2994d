"""A bare loop over ONNX Runtime, without any edgebench code, that speaks the protocol of measuring/alternating.py.

python bare_onnxruntime.py MODEL.onnx INPUTS.npz INPUT_NAMES THREADS SOCKET

The names are a list in JSON; array I-J is input J of request I.
"""

import contextlib
import json
import sys
import time
from array import array
from multiprocessing.connection import Connection

import numpy as np
import onnxruntime


def main(model: str, inputs: str, names: str, threads: str, socket: str) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with np.load(inputs, allow_pickle=False) as data:
        count, known = len(data.files) // len(json.loads(names)), list(enumerate(json.loads(names)))
        feeds = [{name: data[f"{i}-{j}"] for j, name in known} for i in range(count)]
    until = time.perf_counter() + 0.5
    while time.perf_counter() < until:
        session.run(None, feeds[0])
    connection = Connection(int(socket))
    connection.send_bytes(b"{}")
    while True:
        count = int(connection.recv_bytes())
        times = array("q")
        for i in range(count):
            before = time.perf_counter_ns()
            session.run(None, feeds[i % len(feeds)])
            times.append(time.perf_counter_ns() - before)
        connection.send_bytes(times[-(-count // 4) :].tobytes())


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # the other side has closed the connection: done
        main(*sys.argv[1:])
