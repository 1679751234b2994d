"""infer.py of a deployed folder: what it prints for good, bad and foreign files, and how it ends."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from edgebench.report import deploy
from edgebench.training.data import formats, listing

CLASSES = ["dark", "50% grey", "light"]
LOAD = """steps = np.float32([0.0, 0.5, 1.0])

def run(pixels):
    return -20 * np.abs(pixels.mean() - steps)[None]"""
Infer = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / ".thumbs").mkdir()
    for name, value in (("a.png", 0), ("sub/b.JPG", 255), (".thumbs/c.png", 3), ("z.bmp", 128)):
        Image.new("L", (9, 7), value).save(folder / name)
    (folder / "m.png").write_bytes((folder / "a.png").read_bytes()[:40])
    (folder / "n.jpg").write_text("<html>")
    (folder / "notes.txt").write_text("no picture")
    return folder


def program(folder: Path, load: str = LOAD) -> dict:
    settings = {
        "levels": None, "passed_over": sorted(listing.THUMBNAILS | listing.SYSTEM_FOLDERS),
        "formats": list(formats.FORMATS), "width": 4, "height": 4, "mean": [0], "std": [1],
        "classes": CLASSES, "sure": [
            {"threshold": 0.0, "coverage": 1.0, "error_high": 0.2},
            {"threshold": 0.999, "coverage": 0.6, "error_high": 0.05},
        ],
    }  # fmt: skip
    (folder / "preprocessing.json").write_text(json.dumps(settings))
    names = {"__name__": "infer", "__file__": str(folder / "infer.py")}
    exec(compile(deploy.infer_py("a-runtime", load), "infer.py", "exec"), names)
    return names


@pytest.fixture
def infer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Infer:
    """Calls its main: the exit code and what it printed."""

    def call(*arguments: str | Path, load: str = LOAD) -> tuple[int, str, str]:
        try:
            code = program(tmp_path, load)["main"]([str(each) for each in arguments])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_one_bad_file_does_not_stop_the_others(infer: Infer, photos: Path) -> None:
    code, out, err = infer(photos / "a.png", photos / "m.png", photos / "no.png", photos / "n.jpg", photos / "z.bmp")
    assert code == 1
    assert [line.rpartition("/")[2].partition(" (")[0] for line in out.splitlines()] == [
        "a.png: dark",
        "z.bmp: 50% grey",
    ]
    broken, absent, foreign = err.splitlines()
    assert "m.png: " in broken
    assert absent.endswith("no.png: there is no such file") and "n.jpg: it is no image that can be read" in foreign


def test_a_folder_is_every_image_in_it(infer: Infer, photos: Path) -> None:
    code, out, err = infer(photos)
    answered = [line.partition(": ")[0].removeprefix(f"{photos}/") for line in out.splitlines()]
    assert (code, answered) == (1, ["a.png", "z.bmp", "sub/b.JPG"])
    assert len(err.splitlines()) == 2 and ".thumbs" not in out and "notes.txt" not in err
    (photos / "empty").mkdir()
    assert infer(photos / "empty")[::2] == (1, f"{photos}/empty: there is no image in this folder\n")


def test_what_training_passes_over_is_not_answered(infer: Infer, photos: Path) -> None:
    """A network drive's thumbnails were: two answers more for each picture."""
    for folder in ("@eaDir/a.png", "sub/@eaDir", "__MACOSX", "#recycle", ".thumbnails", "System Volume Information"):
        (photos / folder).mkdir(parents=True)
        Image.new("L", (9, 7)).save(photos / folder / "SYNOPHOTO_THUMB_M.jpg")
    (photos / "Thumbs.db").write_bytes(b"not a picture")
    (photos / "._a.png").write_bytes(b"not a picture")
    _, out, err = infer(photos)
    assert "THUMB" not in out + err and "Thumbs" not in out + err and "._a" not in out + err
    taken = {file.name for file in listing.walk(photos, {"": "all"}).pictures["all"]}
    assert taken == {str(path.relative_to(photos)) for path in program(photos.parent)["images"](photos)}


def test_lines_of_json_and_the_likeliest_classes(infer: Infer, photos: Path) -> None:
    code, out, _ = infer("--json", "--top", "2", photos / "z.bmp", photos / "n.jpg")
    good, bad = map(json.loads, out.splitlines())
    assert code == 1 and good["path"] == str(photos / "z.bmp")
    assert [each["class"] for each in good["classes"]] == ["50% grey", "light"]
    assert 1 >= sum(each["share"] for each in good["classes"]) > 0.9
    assert bad == {"path": str(photos / "n.jpg"), "error": "it is no image that can be read"}
    _, out, _ = infer("--top", "9", photos / "z.bmp")
    assert all(name in out for name in CLASSES)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "usage: infer.py "), (("--help",), 0, "The classes: dark, 50% grey, light"),
        (("--top", "0", "x.png"), 2, "from 1 on"), (("--nonsense",), 2, "usage"),
    ],
)  # fmt: skip
def test_usage(infer: Infer, arguments: tuple[str, ...], code: int, text: str) -> None:
    ended, out, err = infer(*arguments)
    assert ended == code and text in " ".join((out + err).split())


@pytest.mark.parametrize(
    ("load", "text"),
    [("import no_such_runtime", "pip install a-runtime"), ("raise RuntimeError('bad\\nmagic')", r"bad\nmagic")],
)
def test_a_model_that_does_not_open_is_told_with_a_fix(infer: Infer, photos: Path, load: str, text: str) -> None:
    code, out, _ = infer(photos / "a.png", load=load)
    assert text in code and "fix: " in code and not out


def test_a_folder_that_was_copied_in_part_is_told(tmp_path: Path) -> None:
    program(tmp_path)
    for content in (None, "{"):
        (tmp_path / "preprocessing.json").unlink()
        if content:
            (tmp_path / "preprocessing.json").write_text(content)
        names = {"__name__": "infer", "__file__": str(tmp_path / "infer.py")}
        with pytest.raises(SystemExit, match="copy the whole folder again"):
            exec(compile(deploy.infer_py("a-runtime", LOAD), "infer.py", "exec"), names)
        (tmp_path / "preprocessing.json").touch()


def test_names_of_files_do_not_reach_the_terminal_as_they_are(infer: Infer, photos: Path) -> None:
    name = photos / "a\x1b[31m\n.png"
    name.write_bytes((photos / "a.png").read_bytes())
    _, out, _ = infer(name)
    assert len(out.splitlines()) == 1 and "\x1b" not in out and r"\x1b[31m\n.png: dark" in out


def test_the_pixels_are_those_of_the_file(tmp_path: Path, photos: Path) -> None:
    expected = -20 * np.abs(128 / 255 - np.array([0, 0.5, 1]))
    assert np.allclose(program(tmp_path)["logits"](photos / "z.bmp"), expected, atol=1e-4)


def test_below_the_threshold_the_class_is_unknown(infer: Infer, photos: Path) -> None:
    Image.new("L", (9, 7), 60).save(photos / "between.png")
    code, out, _ = infer("--threshold", "0.99", photos / "a.png", photos / "between.png")
    sure, unsure = out.splitlines()
    assert code == 0 and "a.png: dark (" in sure and "between.png: unknown (likeliest: dark" in unsure
    _, out, _ = infer("--json", "--threshold", "0.99", photos / "a.png", photos / "between.png")
    assert [json.loads(line)["known"] for line in out.splitlines()] == [True, False]


@pytest.mark.parametrize(("most", "unknown"), [("0.3", 0), ("0.1", 1)])
def test_a_threshold_follows_from_what_was_calibrated(infer: Infer, photos: Path, most: str, unknown: int) -> None:
    Image.new("L", (9, 7), 60).save(photos / "between.png")
    _, out, _ = infer("--max-error", most, photos / "a.png", photos / "between.png")
    assert out.count("unknown") == unknown
    code, _, _ = infer("--max-error", "0.01", photos / "a.png")
    assert "5.0% is the least that is known" in code and "fix: give --threshold" in code


class Camera:
    """OpenCV's VideoCapture with two frames, blue and white."""

    def __init__(self, source: int | str) -> None:
        self.left = [(255, 0, 0), (255, 255, 255)] if source in (0, "film.mp4") else None

    def isOpened(self) -> bool:
        return self.left is not None

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        return True, np.full((8, 6, 3), self.left.pop(0), np.uint8)

    def release(self) -> None:
        self.left = None


def test_a_camera_is_answered_frame_by_frame(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(VideoCapture=Camera))
    code, out, _ = infer("--camera", "0", "--json")
    assert code == 0 and [json.loads(line)["path"] for line in out.splitlines()] == ["0#0", "0#1"]
    assert json.loads(out.splitlines()[1])["classes"][0]["class"] == "light"
    _, out, _ = infer("--camera", "film.mp4", "--frames", "1")
    assert len(out.splitlines()) == 1
    assert "cannot be opened" in infer("--camera", "7")[0]
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "pip install opencv-python-headless" in infer("--camera", "0")[0]


def test_a_folder_is_watched(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture that is there before is left; a new one is answered when its file has stopped growing."""
    names, pauses = program(tmp_path), iter(range(5))

    def pause(seconds: float) -> None:
        step = next(pauses)
        if step == 0:
            (photos / "new.png").write_bytes((photos / "a.png").read_bytes()[:40])
        elif step == 1:
            (photos / "new.png").write_bytes((photos / "a.png").read_bytes())
        elif step == 4:
            raise KeyboardInterrupt

    names["time"] = SimpleNamespace(sleep=pause)
    with pytest.raises(KeyboardInterrupt):
        names["main"](["--watch", str(photos)])
    assert [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()] == [f"{photos}/new.png: dark"]


def test_the_commands_of_the_pages_are_taken(infer: Infer) -> None:
    """Each `infer.py …` in the guide and the recipes has options that there are."""
    _, told, _ = infer("--help")
    pages = [*(REPOSITORY / "docs").rglob("*.md")]
    lines = [line for page in pages for line in re.findall(r"infer\.py( [^\n`\"#]*)", page.read_text())]
    options = {word for line in lines for word in line.split() if word.startswith("--")}
    assert len(options) >= 6 and all(f"{option} " in told or f"{option}\n" in told for option in options)
