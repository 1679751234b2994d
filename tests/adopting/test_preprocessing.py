"""--preprocess: what it takes, what it refuses, and that its pixels are those of the libraries that it follows."""

from __future__ import annotations

import re
from pathlib import Path

import foreign
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_adopting import adopted

from edgebench import artifact as folder
from edgebench.adopting import adopt as adopting
from edgebench.adopting import preprocessing
from edgebench.errors import EdgebenchError, UsageError
from edgebench.records.preprocessing import Align, Filter, Preprocessing, preprocess
from edgebench.records.workspace import Workspace
from edgebench.specs import TensorSpec
from edgebench.training.data.pixels import fitted

PICTURE = TensorSpec("images", "float32", ("batch", 3, "h", "w"), sizes=(1, 3, 224, 224))


def spec(sizes: tuple[int, ...], dtype: str = "float32", name: str = "images") -> TensorSpec:
    return TensorSpec(name, dtype, sizes, sizes=sizes)


def settled(text: str, *inputs: TensorSpec) -> Preprocessing:
    return preprocessing.settled(preprocessing.read(text), inputs or (PICTURE,))


def test_a_preset_with_changes() -> None:
    made = settled("imagenet,crop=0.9,order=bgr")
    assert (made.height, made.width, made.resize, made.crop) == (224, 224, "crop", 0.9)
    assert (made.order, made.scale, made.axes, made.mean[0]) == ("bgr", "0..1", "nchw", 0.485)
    assert settled("imagenet,resize=stretch").crop == 1.0, "the preset's crop goes with its resize"
    assert (settled("crop=0.5").resize, settled("pad=3").resize) == ("crop", "letterbox")
    assert settled("mean=0.5,std=0.25").std == (0.25,) * 3


@pytest.mark.parametrize(
    ("sizes", "dtype", "axes", "order", "scale"),
    [
        ((1, 3, 8, 9), "float32", "nchw", "rgb", "0..1"), ((2, 8, 9, 3), "uint8", "nhwc", "rgb", "0..255"),
        ((1, 1, 8, 9), "float16", "nchw", "grey", "0..1"), ((3, 8, 9), "float32", "chw", "rgb", "0..1"),
        ((8, 9, 3), "int8", "hwc", "rgb", "-128..127"),
    ],
)  # fmt: skip
def test_the_input_decides_what_is_not_said(
    sizes: tuple[int, ...], dtype: str, axes: str, order: str, scale: str
) -> None:
    made = settled("resize=stretch", spec(sizes, dtype))
    assert (made.height, made.width, made.axes, made.order, made.scale) == (8, 9, axes, order, scale)
    each = sizes[0] if axes.startswith("n") else 1
    pixels = np.random.default_rng(0).integers(0, 256, (each, 8, 9, 3), np.uint8)
    found = preprocess(pixels, made, dtype)
    assert found.dtype == dtype and found.reshape(sizes).shape == sizes
    ends = {"0..1": (0.0, 1.0), "0..255": (0, 255), "-128..127": (-128, 127)}[scale]
    assert ends[0] <= found.min() < found.max() <= ends[1]


def test_the_first_input_that_looks_like_a_picture_takes_it() -> None:
    both = (spec((1, 2), name="size"), spec((1, 3, 8, 8), name="image"))
    assert settled("unit", *both).input == "image"
    assert settled("unit,input=size,axes=hw", *both).input == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"), ("imagnet", "unknown preset.*imagnet"), ("unit,unit", "'unit' is not KEY=VALUE"),
        ("unit,colour=bgr", "unknown key.*colour"), ("order=bgr,order=rgb", "gives order twice"),
        ("order=brg", "order is 'brg'"), ("crop=0", "crop is 0"), ("crop=nan", "no number"),
        ("crop=0.9,resize=letterbox", "no meaning with resize=letterbox"), ("pad=256", "pad is '256'"),
        ("mean=1/2", "2 values"), ("std=0", "std is 0"), ("size=0", "size is '0'"), ("size=4x5x6", "size is"),
        ("size=²", "size is"), ("unit,size=225", "takes 224 × 224"), ("order=grey", "3 channels, which order=grey"),
        ("input=x", "no input 'x'"), ("axes=hwc", "are not the axes hwc"), ("scale=-128..127", "is for int8"),
        ("unit,", "'' is not KEY=VALUE"), ("unit,mean=", "is not KEY=VALUE"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_a_fix(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        settled(text)
    assert re.search(told, caught.value.message), caught.value.message
    assert caught.value.fix


def test_whole_numbers_are_not_normalised() -> None:
    with pytest.raises(UsageError, match="takes whole numbers"):
        settled("imagenet", spec((1, 3, 8, 8), "uint8"))
    with pytest.raises(UsageError, match="no input of the model looks like a picture"):
        settled("unit", spec((1, 512)))


numbers = st.floats(-200, 200, allow_nan=False)
whole = st.builds(
    Preprocessing,
    height=st.just(224), width=st.just(224), mean=st.tuples(numbers, numbers, numbers),
    std=st.tuples(*[st.floats(1e-3, 300)] * 3), order=st.sampled_from(["rgb", "bgr"]),
    interpolation=st.sampled_from(Filter.__args__), scale=st.sampled_from(["0..1", "0..255", "-1..1"]),
)  # fmt: skip
shapes = st.one_of(
    st.fixed_dictionaries({"resize": st.just("stretch")}),
    st.fixed_dictionaries({"resize": st.just("crop"), "crop": st.floats(0.01, 1)}),
    st.fixed_dictionaries(
        {"resize": st.just("letterbox"), "pad": st.integers(0, 255), "align": st.sampled_from(Align.__args__)}
    ),
)


@settings(max_examples=40)
@given(whole, shapes)
def test_what_is_told_is_read_as_the_same(made: Preprocessing, resized: dict) -> None:
    made = Preprocessing(**{**vars(made), **resized})
    assert settled(preprocessing.told(made)) == made


@settings(max_examples=40)
@given(st.text("unitsze=,./x0123 ²é", max_size=30))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        settled(text)
    except UsageError as error:
        assert error.message and "Traceback" not in error.message


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40), st.floats(0.3, 1), shapes)
def test_every_picture_gets_the_models_size(
    width: int, height: int, out_w: int, out_h: int, crop: float, resized: dict
) -> None:
    made = Preprocessing(height=out_h, width=out_w, mean=(0,) * 3, std=(1,) * 3, **{**resized, "interpolation": "box"})
    found = fitted(Image.new("RGB", (width, height), (200, 100, 50)), made)
    assert (found.dtype, found.shape) == (np.uint8, (out_h, out_w, 3))
    assert (found == (200, 100, 50)).all(axis=2).any(), "the picture is in it"


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (231, 640), (100, 100), (257, 1024)])
@pytest.mark.parametrize(("crop", "shorter"), [(0.875, 256), (0.9, 248), (1.0, 224)])
def test_a_crop_is_that_of_torchvision(size: tuple[int, int], crop: float, shorter: int) -> None:
    """Resize(shorter) and CenterCrop(224), as torchvision computes the sizes; timm's shorter side: floor(224/crop)."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    longer = int(shorter * max(size) / min(size))
    whole = image.resize((shorter, longer) if size[0] <= size[1] else (longer, shorter), Image.Resampling.BILINEAR)
    left, top = round((whole.width - 224) / 2.0), round((whole.height - 224) / 2.0)
    found = fitted(image, settled(f"imagenet,crop={crop}"))
    np.testing.assert_array_equal(found, np.asarray(whole.crop((left, top, left + 224, top + 224))))


def test_a_letterbox_keeps_the_shape_and_pads() -> None:
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    made = settled("yolo", spec((1, 3, 32, 32)))
    found = fitted(image, made)
    assert (found[8:24] == (255, 0, 0)).all() and (found[:8] == 114).all() and (found[24:] == 114).all()
    corner = fitted(image, settled("yolo,align=corner", spec((1, 3, 32, 32))))
    assert (corner[:16] == (255, 0, 0)).all() and (corner[16:] == 114).all()


def test_grey_is_pillows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 7, 3), np.uint8)
    made = settled("bytes", spec((1, 1, 9, 7)))
    np.testing.assert_array_equal(preprocess(pixels, made)[0, 0], np.asarray(Image.fromarray(pixels[0]).convert("L")))


def pictures(root: Path, count: int) -> Path:
    root.mkdir()
    for i in range(count):
        Image.new("RGB", (30, 20), (i * 20, 100, 50)).save(root / f"{i:02}.png")
    (root / "notes.txt").write_text("no picture")
    return root


def test_a_folder_of_pictures_becomes_the_requests(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", 12)
    file = foreign.detector(tmp_path / "detector.onnx")
    _, chosen = adopting._inputs([photos], "bytes")
    assert len(chosen) == 12
    asked = {"preprocess": "bytes,size=12x16"}
    made = adopted(file, tmp_path / "made", pictures=tuple(map(str, chosen)), **asked)
    assert made.adopted.inputs == "images" and made.adopted.requests == 8 and made.inputs[0].sizes == (1, 3, 12, 16)
    assert made.adopted.told.startswith("images as inputs, reference: ")
    reds = [int(request["images"][0, 0, 0, 0]) for request in folder.read_examples(made).requests]
    assert reds[0] == 0 and reds[-1] == 220 and reds == sorted(set(reds)), "evenly spread over the folder"
    assert made.preprocessing == settled("bytes", spec((1, 3, 12, 16)))
    plain = adopted(file, tmp_path / "plain", **asked)
    assert plain.adopted.inputs == "synthetic" and plain.adopted.values == {"images": "random pixels"}
    assert plain.identity != made.identity and plain.preprocessing == made.preprocessing


def test_a_batch_is_filled_with_pictures(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", 5)
    file, shapes = foreign.detector(tmp_path / "detector.onnx"), {"images": (4, 3, 8, 8)}
    given = {"pictures": tuple(map(str, sorted(photos.glob("*.png")))), "preprocess": "bytes", "shapes": shapes}
    made = adopted(file, tmp_path / "made", **given)
    assert (made.adopted.requests, made.adopted.batch) == (2, 4)
    second = folder.read_examples(made).requests[1]["images"][:, 0, 0, 0]
    assert second.tolist() == [80, 0, 20, 40], "the first come once more"


def test_other_inputs_beside_pictures_are_generated(tmp_path: Path) -> None:
    node = foreign.helper.make_node("Identity", ["image"], ["out"])
    other = foreign.helper.make_node("Identity", ["im_shape"], ["shape"])
    file = foreign.write(
        tmp_path / "two.onnx", [node, other],
        [foreign.tensor("im_shape", foreign.FLOAT, [1, 2]), foreign.tensor("image", foreign.FLOAT, [1, 3, 8, 6])],
        [foreign.tensor("out", foreign.FLOAT, [1, 3, 8, 6]), foreign.tensor("shape", foreign.FLOAT, [1, 2])],
    )  # fmt: skip
    made = adopted(file, tmp_path / "made", preprocess="symmetric")
    request = folder.read_examples(made).requests[0]
    assert made.preprocessing.input == "image" and request["im_shape"].tolist() == [[8, 6]]
    assert -1 <= request["image"].min() < -0.9 and 0.9 < request["image"].max() <= 1


def test_inputs_that_are_no_pictures_are_refused(tmp_path: Path) -> None:
    photos, file = pictures(tmp_path / "photos", 1), foreign.detector(tmp_path / "detector.onnx")
    (tmp_path / "empty").mkdir()
    (photos / "broken.png").write_bytes(b"no picture")
    cases = {
        "what does the model make of a picture": {"inputs": [photos]},
        "holds no picture": {"inputs": [tmp_path / "empty"], "preprocess": "unit"},
        "is no picture": {"inputs": [photos / "notes.txt"], "preprocess": "unit"},
        "does not exist": {"inputs": [tmp_path / "nowhere"], "preprocess": "unit"},
        "arrays and pictures at once": {"inputs": [photos, tmp_path / "x.npz"], "preprocess": "unit"},
    }
    np.savez(tmp_path / "x.npz", images=np.zeros(1))
    for told, asked in cases.items():
        with pytest.raises(EdgebenchError, match=told):
            adopting.adopt(file, Workspace(tmp_path / "runs"), **asked)
    with pytest.raises(EdgebenchError, match=r"broken\.png cannot be decoded"):
        adopted(file, tmp_path / "made", pictures=(str(photos / "broken.png"),), preprocess="unit,size=8")
