"""What augmentation does to images, and what it must not do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from edgebench.errors import UsageError
from edgebench.training import augment
from edgebench.training.augment.operations import FILL, OPERATIONS, apply

SHAPES = [(1, 64, 64), (7, 8, 8), (5, 13, 31), (3, 33, 20)]


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose pixels tell where they come from: channel 0 holds the row, channel 1 the column, 2 the image."""
    rows = torch.arange(height).view(1, 1, height, 1).expand(count, 1, height, width)
    columns = torch.arange(width).view(1, 1, 1, width).expand(count, 1, height, width)
    numbers = torch.arange(count).view(count, 1, 1, 1).expand(count, 1, height, width)
    return torch.cat([rows, columns, numbers], dim=1).to(torch.uint8)


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth colours with noise; the channels differ in range, and the last image is a single colour."""
    coarse = torch.rand(count, 3, 4, 4, generator=seeded(seed)) * torch.tensor([255.0, 180.0, 90.0]).view(3, 1, 1)
    images = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    images = (images + 20 * torch.rand(images.shape, generator=seeded(seed))).clamp(0, 255)
    if count > 1:
        images[-1] = torch.tensor([200.0, 10.0, 128.0]).view(3, 1, 1)
    return images.to(torch.uint8).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("height", "width", "share"), [(32, 32, 0.25), (16, 24, 0.1), (8, 8, 0.4)])
def test_each_image_moves_as_one_and_stays_within_the_share(height: int, width: int, share: float) -> None:
    images = ramp(40, height, width)
    moved = augment.shift(images, share, seeded())
    assert (moved[:, 2] == images[:, 2]).all(), "an image received pixels of another"
    offsets = set()
    for image in moved.int():
        row, column = (int(image[c, height // 2, width // 2]) - size // 2 for c, size in ((0, height), (1, width)))
        assert abs(row) <= share * height and abs(column) <= share * width
        assert (image[0, :, 0] == (torch.arange(height) + row).clamp(0, height - 1)).all()
        assert (image[1, 0, :] == (torch.arange(width) + column).clamp(0, width - 1)).all()
        offsets.add((row, column))
    assert len(offsets) > 3, "all images moved alike"


def test_half_of_the_images_are_mirrored_and_the_others_as_they_were() -> None:
    images = pictures(400, 8, 9)[:-1]
    flipped = augment.flip(images, seeded())
    mirrored = (flipped == images.flip(3)).all((1, 2, 3))
    assert ((flipped == images).all((1, 2, 3)) != mirrored).all()
    assert 160 < mirrored.sum() < 240


def test_without_augmentation_images_pass_unchanged() -> None:
    images = pictures(5, 16, 16)
    assert augment.augment(images, seeded(), flip=False, shift=0.0, policy="none") is images
    assert torch.equal(augment.shift(images, 0.0, seeded()), images)


def test_an_unknown_policy_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match="trivialaugment"):
        augment.augment(pictures(1, 8, 8), seeded(), flip=True, shift=0.1, policy="trivialaugmented")


@pytest.mark.parametrize(("count", "height", "width"), SHAPES)
@pytest.mark.parametrize("policy", augment.POLICIES)
def test_kind_of_tensor_is_kept_input_is_left_and_a_seed_repeats(
    policy: str, count: int, height: int, width: int
) -> None:
    images = pictures(count, height, width)
    before = images.clone()

    def augmented(seed: int) -> torch.Tensor:
        return augment.augment(images, seeded(seed), flip=True, shift=0.25, policy=policy)

    one = augmented(3)
    assert one.shape == images.shape and one.dtype == torch.uint8
    assert one.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)
    assert torch.equal(one, augmented(3))
    assert any(not torch.equal(one, augmented(seed)) for seed in range(4, 10))


@pytest.mark.parametrize("policy", ["trivialaugment", "randaugment"])
def test_the_generators_state_resumes_a_run(policy: str) -> None:
    images, generator = pictures(9, 16, 16), seeded()

    def epoch() -> torch.Tensor:
        mixed, _ = augment.mix(
            augment.augment(images, generator, flip=True, shift=0.2, policy=policy).float(),
            torch.arange(9), generator, classes=9, mixup=0.4, cutmix=1.0,
        )  # fmt: skip
        return mixed

    epoch()
    state = generator.get_state()
    expected = epoch()
    generator.set_state(state)
    assert torch.equal(epoch(), expected)


def affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


PILLOW: dict[str, Callable[[float], Callable[[Image.Image], Image.Image]]] = {
    "identity": lambda m: lambda image: image,
    "brightness": lambda m: lambda image: ImageEnhance.Brightness(image).enhance(1 + m),
    "color": lambda m: lambda image: ImageEnhance.Color(image).enhance(1 + m),
    "contrast": lambda m: lambda image: ImageEnhance.Contrast(image).enhance(1 + m),
    "sharpness": lambda m: lambda image: ImageEnhance.Sharpness(image).enhance(1 + m),
    "posterize": lambda m: lambda image: ImageOps.posterize(image, 8 - round(m)),
    "solarize": lambda m: lambda image: ImageOps.solarize(image, 256 - m),
    "autocontrast": lambda m: ImageOps.autocontrast,
    "equalize": lambda m: ImageOps.equalize,
    "shear_x": lambda m: affine(1, m, 0, 0, 1, 0),
    "shear_y": lambda m: affine(1, 0, 0, m, 1, 0),
    "translate_x": lambda m: affine(1, 0, -int(m), 0, 1, 0),
    "translate_y": lambda m: affine(1, 0, 0, 0, 1, -int(m)),
    "rotate": lambda m: lambda image: image.rotate(m, Image.Resampling.BILINEAR),
}
MAGNITUDES = {"posterize": [0, 1, 3.6, 6], "solarize": [0, 40, 128.5, 256], "rotate": [0, 7, -31.5, 135, -90]}
MAGNITUDES |= {"translate_x": [0, 3, -7.9, 12], "translate_y": [0, -3, 7.9, 12]}
GEOMETRY = ["shear_x", "shear_y", "translate_x", "translate_y", "rotate"]


def both(operation: str, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Our images, Pillow's, and where Pillow's came from inside the picture; the magnitudes take turns."""
    magnitudes = MAGNITUDES.get(operation, [0.0, 0.3, -0.5, 0.99, -0.99])
    each = torch.tensor([float(magnitudes[i % len(magnitudes)]) for i in range(len(images))])
    ours = apply(images, torch.full((len(images),), list(OPERATIONS).index(operation)), each)
    originals = images.permute(0, 2, 3, 1).numpy()
    changes = [PILLOW[operation](m) for m in each.tolist()]
    theirs = np.stack([np.asarray(change(Image.fromarray(i))) for change, i in zip(changes, originals, strict=True)])
    white = Image.new("RGB", originals.shape[2:0:-1], (255, 255, 255))
    inside = np.stack([np.asarray(change(white)).min(2) == 255 for change in changes])
    return ours.permute(0, 2, 3, 1).numpy().astype(int), theirs.astype(int), inside


def test_every_operation_has_its_reference() -> None:
    assert set(PILLOW) == set(OPERATIONS)


@pytest.mark.parametrize("shape", [(12, 64, 64), (11, 8, 8), (11, 13, 31)], ids=str)
@pytest.mark.parametrize("operation", sorted(set(PILLOW) - set(GEOMETRY)))
def test_colours_change_as_pillow_changes_them(operation: str, shape: tuple[int, int, int]) -> None:
    ours, theirs, _ = both(operation, pictures(*shape))
    assert np.abs(ours - theirs).max() <= 1
    assert (ours == theirs).mean() > 0.97


@pytest.mark.parametrize("shape", [(12, 64, 64), (11, 13, 31)], ids=str)
@pytest.mark.parametrize("operation", GEOMETRY)
def test_places_move_as_pillow_moves_them(operation: str, shape: tuple[int, int, int]) -> None:
    ours, theirs, inside = both(operation, pictures(*shape))
    from scipy.ndimage import minimum_filter

    interior = minimum_filter(inside, size=(1, 3, 3), mode="constant")  # at the edge we blend into the filling
    assert interior.mean() > 0.3
    assert np.abs(ours - theirs)[interior].max() <= 2


def test_the_gap_that_a_moved_image_leaves_is_grey() -> None:
    moved = apply(pictures(3, 16, 16), torch.full((3,), list(OPERATIONS).index("translate_x")), torch.full((3,), 5.0))
    assert (moved[..., :5] == FILL).all()
    assert torch.equal(moved[..., 5:], pictures(3, 16, 16)[..., :-5])


@pytest.mark.parametrize("operation", sorted(set(PILLOW) - {"autocontrast", "equalize"}))
def test_magnitude_0_changes_nothing(operation: str) -> None:
    images = torch.randint(256, (4, 3, 9, 14), generator=seeded(), dtype=torch.uint8)
    position = torch.full((4,), list(OPERATIONS).index(operation))
    assert torch.equal(apply(images, position, torch.zeros(4)), images)


@pytest.mark.parametrize("policy", [augment.trivial, augment.rand])
def test_a_policy_draws_every_operation_about_equally_often(policy: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    original = apply

    def noting(images: torch.Tensor, operations: torch.Tensor, magnitudes: torch.Tensor) -> torch.Tensor:
        drawn.append(torch.stack([operations.double(), magnitudes.double()]))
        return original(images, operations, magnitudes)

    monkeypatch.setattr("edgebench.training.augment.policies.apply", noting)
    policy(pictures(2000, 8, 8), seeded())
    operations, magnitudes = torch.cat(drawn, dim=1)
    shares = torch.bincount(operations.long(), minlength=14) / len(operations)
    assert ((shares - 1 / 14).abs() < 0.02).all()
    rotated = magnitudes[operations == list(OPERATIONS).index("rotate")]
    assert 0.3 < (rotated > 0).double().mean() < 0.7
    assert rotated.abs().max() == (135 if policy is augment.trivial else 9)


@given(
    count=st.integers(1, 6), height=st.integers(1, 17), width=st.integers(1, 17), seed=st.integers(0, 10_000),
    mixup=st.sampled_from([0.0, 0.1, 1.0]), cutmix=st.sampled_from([0.0, 1e-3, 1.0, 8.0]),
)  # fmt: skip
@settings(max_examples=150)
def test_mixed_targets_say_what_the_pixels_hold(
    count: int, height: int, width: int, seed: int, mixup: float, cutmix: float
) -> None:
    """Image i is of class i and all its pixels are 1 in channel i: a pixel mean is then a class's share."""
    images = torch.eye(count)[:, :, None, None].expand(-1, -1, height, width).contiguous()
    before, labels = images.clone(), torch.arange(count)
    mixed, targets = augment.mix(images, labels, seeded(seed), classes=count, mixup=mixup, cutmix=cutmix)
    assert torch.equal(images, before)
    if not mixup and not cutmix:
        assert mixed is images and targets is labels
        return
    assert targets.shape == (count, count) and targets.dtype == torch.float32
    torch.testing.assert_close(targets.sum(1), torch.ones(count))
    assert ((targets >= 0) & (targets <= 1)).all()
    torch.testing.assert_close(mixed.mean((2, 3)), targets, atol=1e-5, rtol=0)


def test_mixup_blends_and_cutmix_pastes_and_either_has_its_turn() -> None:
    images = torch.eye(4)[:, :, None, None].expand(-1, -1, 16, 16).contiguous(memory_format=torch.channels_last)
    labels, generator = torch.arange(4), seeded()

    def pasted(**alphas: float) -> bool:
        while True:
            mixed, targets = augment.mix(images, labels, generator, classes=4, **alphas)
            assert mixed.is_contiguous(memory_format=torch.channels_last)
            if 0.01 < targets.max(1).values.min() < 0.99:  # something was mixed
                return bool(((mixed == 0) | (mixed == 1)).all())

    assert not any(pasted(mixup=1.0) for _ in range(20))
    assert all(pasted(cutmix=1.0) for _ in range(20))
    assert 5 < sum(pasted(mixup=1.0, cutmix=1.0) for _ in range(40)) < 35


def test_lambda_follows_the_beta_distribution() -> None:
    """Beta(α, α) has mean ½ and variance 1 / (4 (2α + 1))."""
    images, labels, generator = torch.rand(2, 1, 1, 1), torch.tensor([0, 1]), seeded()
    for alpha in (0.2, 1.0, 5.0):
        drawn = [augment.mix(images, labels, generator, classes=2, mixup=alpha)[1][0, 0].item() for _ in range(1500)]
        shares = np.array([d for d in drawn if d < 1])  # a batch of two is left alone in half of the orders
        assert abs(shares.mean() - 0.5) < 0.07
        assert math.isclose(shares.var(), 1 / (4 * (2 * alpha + 1)), rel_tol=0.2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("policy", augment.POLICIES)
def test_a_gpu_draws_what_the_cpu_draws(policy: str) -> None:
    images = pictures(32, 24, 24)
    cpu, gpu = (
        augment.augment(i, seeded(), flip=True, shift=0.2, policy=policy).cpu().int() for i in (images, images.cuda())
    )
    assert ((cpu - gpu).abs() <= 2).double().mean() > 0.99
