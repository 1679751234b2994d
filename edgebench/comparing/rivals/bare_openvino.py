"""A bare loop over OpenVINO, without any edgebench code, that speaks the protocol of measuring/alternating.py.

python bare_openvino.py MODEL INPUTS.npy INPUT_NAME THREADS SOCKET
"""

import contextlib
import sys
import time
from array import array
from multiprocessing.connection import Connection

import numpy as np
import openvino


def main(path: str, inputs: str, name: str, threads: str, socket: str) -> None:
    feeds = [openvino.Tensor(np.ascontiguousarray(one)) for one in np.load(inputs, allow_pickle=False)]
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({name: list(feeds[0].shape)})
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


def infer(request: openvino.InferRequest, feed: openvino.Tensor) -> np.ndarray:
    request.set_input_tensor(feed)
    request.start_async()
    request.wait()
    return request.get_output_tensor().data.copy()


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # the other side has closed the connection: done
        main(*sys.argv[1:])
