"""Pictures that are alike: equal pixels in any encoding, and near copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import alike, files_of, resaved, scene
from PIL import Image

from edgebench.training.data import likeness, looking, scanning


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


LOSSLESS = {
    "png": {}, "bmp": {}, "tiff": {"compression": "tiff_lzw"}, "tif": {}, "webp": {"lossless": True}, "ppm": {},
    "tga": {}, "qoi": {},
}  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(sorted(LOSSLESS))), min_size=2, max_size=8),
    grey=st.booleans(),
)
def test_pictures_are_equal_if_and_only_if_their_pixels_are(tmp_path_factory, made, grey) -> None:
    root = tmp_path_factory.mktemp("pictures")
    for i, (seed, ending) in enumerate(made):
        image = scene(seed, 24)
        image = image.convert("L").convert("RGB") if grey else image
        image.save(root / f"{i}.{ending}", **LOSSLESS[ending])
    found = alike(root)
    for i, (seed, ending) in enumerate(made):
        for j, (other_seed, other) in enumerate(made):
            same = found[f"{i}.{ending}"][0] == found[f"{j}.{other}"][0]
            assert same == (seed == other_seed)


def test_deep_pictures_are_compared_in_all_their_bits(tmp_path: Path) -> None:
    """7,900 to 8,020: in 8 bits they would all be the same grey."""
    values = np.random.default_rng(0).integers(7900, 8020, (2, 24, 24)).astype(np.uint16)
    for name, image in (("a.png", values[0]), ("b.tiff", values[0]), ("c.png", values[1])):
        Image.fromarray(image).save(tmp_path / name)
    found = alike(tmp_path)
    assert found["a.png"] == found["b.tiff"] and found["a.png"][0] != found["c.png"][0]
    facts = looking.look(sorted(tmp_path.glob("?.*")))[0]
    assert facts["bits"].tolist() == [16, 16, 16] and (facts["low"] >= 7900).all() and (facts["high"] < 8020).all()


def test_large_jpegs_are_decoded_in_full_where_it_matters(tmp_path: Path) -> None:
    image = scene(0, 300)
    image.save(tmp_path / "a.jpg", quality=90)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    Image.open(tmp_path / "a.jpg").save(tmp_path / "c.png")
    image.save(tmp_path / "d.jpg", quality=60)
    scene(1, 300).save(tmp_path / "e.jpg")
    assert not scanning.scan(tmp_path, files_of(tmp_path)).facts["exact"][0]
    found = alike(tmp_path)
    assert found["a.jpg"] == found["b.jpg"] == found["c.png"]
    assert found["d.jpg"][0] != found["a.jpg"][0] and found["d.jpg"][1] == found["a.jpg"][1]
    assert found["e.jpg"][1] != found["a.jpg"][1]


def test_a_turned_picture_equals_one_that_was_saved_as_it_is_seen(tmp_path: Path) -> None:
    wide = scene(2).crop((0, 0, 40, 24))
    wide.save(tmp_path / "seen.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    found = alike(tmp_path)
    assert found["seen.png"] == found["turned.png"]
    assert looking.look(sorted(tmp_path.glob("*.png")))[0]["width"].tolist() == [40, 40]


@pytest.mark.parametrize("how", ["jpeg90", "jpeg50", "0.5", "0.8", "1.7", "brighter"])
def test_what_was_saved_anew_or_resized_is_a_near_copy(how: str, tmp_path: Path) -> None:
    for seed in range(8):
        scene(seed, 96).save(tmp_path / f"{seed}.png")
        resaved(scene(seed, 96), how).save(tmp_path / f"{seed}-again.png")
    found = alike(tmp_path)
    near = {seed: found[f"{seed}.png"][1] for seed in range(8)}
    assert len(set(near.values())) == 8
    assert all(found[f"{seed}-again.png"][1] == near[seed] for seed in range(8))


def test_plain_noisy_and_lookalike_pictures_are_no_near_copies(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for i in range(30):
        noise = np.clip(random.normal((200, 40, 40), 25, (48, 48, 3)), 0, 255)
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"noise{i}.png")
        Image.new("RGB", (48, 48), (90 + i, 120, 200)).save(tmp_path / f"sky{i}.png")
        product = scene(100, 64)
        product.paste(scene(i, 8), (20, 20))
        product.save(tmp_path / f"product{i}.png")
    found = alike(tmp_path)
    assert len({near for _, near in found.values()}) == len(found)


def test_the_comparison_of_many_equal_hashes_ends(tmp_path: Path) -> None:
    facts = np.zeros(2_000, looking.FACTS)
    thumbs = np.random.default_rng(0).integers(0, 256, (2_000, 16, 16, 3), np.uint8)
    pairs, _ = likeness.near_pairs(facts, thumbs)
    assert len(pairs) == 0


def test_long_chains_are_divided_where_their_links_are_weak() -> None:
    same = np.arange(200)
    chain = np.stack([same[:-1], same[1:]], axis=1)
    strong = np.full(199, 0.01)
    assert len(np.unique(likeness.grouped(same, chain, strong))) == 1
    strong[99] = 0.09
    assert len(np.unique(likeness.grouped(same, chain, strong))) == 2
    assert len(np.unique(likeness.grouped(same[:40], chain[:39], np.full(39, 0.09)))) == 1
