"""A bare loop over OpenVINO, without any edgebench code, that speaks the protocol of measuring/alternating.py.

python bare_openvino.py MODEL INPUTS.npz INPUT_NAMES THREADS SOCKET

The names are a list in JSON; array I-J is input J of request I.
"""

import contextlib
import json
import sys
import time
from array import array
from multiprocessing.connection import Connection

import numpy as np
import openvino


def main(path: str, inputs: str, names: str, threads: str, socket: str) -> None:
    core = openvino.Core()
    model = core.read_model(path)
    ports = [model.input(name) for name in json.loads(names)]
    with np.load(inputs, allow_pickle=False) as data:
        arrays = [
            [np.asarray(data[f"{i}-{j}"], order="C") for j in range(len(ports))]
            for i in range(len(data.files) // len(ports))
        ]
    model.reshape({port: list(array.shape) for port, array in zip(ports, arrays[0], strict=True)})
    places = [model.inputs.index(port) for port in ports]
    feeds = [[(place, openvino.Tensor(array)) for place, array in zip(places, each, strict=True)] for each in arrays]
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    until = time.perf_counter() + 0.5
    while time.perf_counter() < until:
        infer(request, feeds[0])
    connection = Connection(int(socket))
    connection.send_bytes(b"{}")
    while True:
        count = int(connection.recv_bytes())
        times = array("q")
        for i in range(count):
            before = time.perf_counter_ns()
            infer(request, feeds[i % len(feeds)])
            times.append(time.perf_counter_ns() - before)
        connection.send_bytes(times[-(-count // 4) :].tobytes())


def infer(request: openvino.InferRequest, feed: list[tuple[int, openvino.Tensor]]) -> list[np.ndarray]:
    for place, tensor in feed:
        request.set_input_tensor(place, tensor)
    request.start_async()
    request.wait()
    return [tensor.data.copy() for tensor in request.output_tensors]


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # the other side has closed the connection: done
        main(*sys.argv[1:])
