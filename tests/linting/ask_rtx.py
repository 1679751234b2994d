"""`python ask_rtx.py FOLDER`: of each ONNX file, what `lint` says of it and what NVIDIA's parser answers, as JSON.

A process of its own, since the library can be loaded once, and so that it starts once for all files.
"""

import json
import sys
from pathlib import Path

from edgebench.linting import asking
from edgebench.linting.asking import ToLint, ask
from edgebench.machine import registry

linter, found = registry.load("linters", "tensorrt_rtx"), {}
asking._parser = lambda target: (linter, "")
for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
    said = ask(ToLint(source=str(path), target="tensorrt_rtx", format="onnx"), lambda stage: None, lambda known: None)
    network = linter._builder.create_network(1)
    parser = linter._library.OnnxParser(network, linter._log)
    taken = parser.parse(path.read_bytes())
    del parser, network  # in this order
    found[path.stem] = {
        "status": said.status, "taken": taken, "nodes": [f.node for f in said.findings],
        "kinds": [f.kind for f in said.findings], "reasons": [f.reason for f in said.findings],
        "fixes": [f.fix for f in said.findings],
    }  # fmt: skip
print(json.dumps(found))
