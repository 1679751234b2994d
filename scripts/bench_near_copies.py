"""How many planted near copies are found among real small pictures, and how many unlike pictures are taken for some?

.venv/bin/python scripts/bench_near_copies.py --data-dir FOLDER [--images 10000] [--planted 300] [--sheet FOLDER]

Takes training images of CIFAR-10 and of Fashion-MNIST, never test images, and adds changed versions of some: resized,
compressed, cropped, moved as between two moments of a video. Prints for several thresholds (`likeness.MOST_DIFFERENT`)
the share of each kind that is found, and how many of the images themselves are paired. --sheet draws those pairs, to
see whether they are the same: both sets have near copies of their own.
"""

import argparse
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from edgebench.training import data
from edgebench.training.data import likeness, scanning

THRESHOLDS = (0.04, 0.06, 0.08, 0.10, 0.12, 0.15, 0.20)
WIDEST = max(THRESHOLDS)
BICUBIC = Image.Resampling.BICUBIC
ROWS, COLUMNS, TILE = 12, 10, 64  # of a sheet, in pairs and pixels


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    image.save(file, "jpeg", quality=quality)
    return Image.open(file).convert("RGB")


def resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Without so much of each side, and of its old size again."""
    x, y = image.width * share, image.height * share
    return image.resize(image.size, BICUBIC, (x, y, image.width - x, image.height - y))


def moved(image: Image.Image, pixels: float, random: np.random.Generator) -> Image.Image:
    """A moment later: moved by so many pixels, with other noise of the sensor."""
    angle = random.uniform(0, 2 * np.pi)
    dx, dy = pixels * np.cos(angle), pixels * np.sin(angle)
    large = Image.fromarray(np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)), mode="reflect"))
    shifted = large.transform(image.size, Image.Transform.AFFINE, (1, 0, 4 + dx, 0, 1, 4 + dy), BICUBIC)
    noisy = np.asarray(shifted, np.float32) + random.normal(0, 3, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


KINDS = {
    "half the size": lambda image, random: resized(image, 0.5),
    "0.75 of the size": lambda image, random: resized(image, 0.75),
    "1.7 times the size": lambda image, random: resized(image, 1.7),
    "JPEG of quality 75": lambda image, random: jpeg(image, 75),
    "JPEG of quality 40": lambda image, random: jpeg(image, 40),
    "brighter by 15 %": lambda image, random: ImageEnhance.Brightness(image).enhance(1.15),
    "in grey": lambda image, random: image.convert("L").convert("RGB"),
    "cropped by 2 % of each side": lambda image, random: cropped(image, 0.02),
    "cropped by 5 % of each side": lambda image, random: cropped(image, 0.05),
    "moved by 1 % of the side": lambda image, random: moved(image, 0.01 * image.width, random),
    "moved by 3 % of the side": lambda image, random: moved(image, 0.03 * image.width, random),
}


def measure(name: str, images: np.ndarray, planted: int, sheet: Path | None) -> None:
    random = np.random.default_rng(0)
    originals = [Image.fromarray(image).convert("RGB") for image in images]
    with tempfile.TemporaryDirectory() as folder:
        paths, of, kinds = [], [], []
        for number, (kind, image) in made(originals, planted, random):
            paths.append(Path(folder, f"{len(paths)}.png"))
            image.save(paths[-1], compress_level=1)
            of.append(number)
            kinds.append(kind)
        facts, thumbs, _ = scanning.looked_at(paths)
    likeness.MOST_DIFFERENT = WIDEST
    pairs, differences = likeness.near_pairs(facts, thumbs)
    number, kind = np.array(of), np.array(kinds)
    copy = kind != ""
    print(f"\n{name}: {len(originals):,} training images, {planted} versions of each kind\n")
    print("| threshold | " + " | ".join(f"{t:.2f}" for t in THRESHOLDS) + " |")
    print("|---" * (len(THRESHOLDS) + 1) + "|")
    for each in KINDS:
        right = (number[pairs[:, 0]] == number[pairs[:, 1]]) & (kind[pairs] == "").any(axis=1)
        right &= (kind[pairs] == each).any(axis=1)
        shares = [(right & (differences <= t)).sum() / planted for t in THRESHOLDS]
        print(f"| {each} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    own = ~copy[pairs].any(axis=1)
    print("| images paired with another | " + " | ".join(
        f"{len(np.unique(pairs[own & (differences <= t)])):,}" for t in THRESHOLDS) + " |")  # fmt: skip
    if sheet:
        draw(sheet / f"{name}.png", images, number[pairs[own]], differences[own])


def made(
    originals: list[Image.Image], planted: int, random: np.random.Generator
) -> Iterator[tuple[int, tuple[str, Image.Image]]]:
    """Every picture with the number of its original; "" is the kind of the original itself."""
    for number, image in enumerate(originals):
        yield number, ("", image)
    for number in range(planted):
        for kind, change in KINDS.items():
            yield number, (kind, change(originals[number], random))


def draw(path: Path, images: np.ndarray, pairs: np.ndarray, differences: np.ndarray) -> None:
    """Pairs side by side, the most alike first."""
    order = np.argsort(differences)
    chosen = order[np.unique(np.linspace(0, len(order) - 1, ROWS * COLUMNS).astype(int))] if len(order) else order
    canvas = Image.new("RGB", (COLUMNS * (2 * TILE + 8), ROWS * (TILE + 8)), "white")
    for place, pair in enumerate(chosen):
        for side, row in enumerate(pairs[pair]):
            tile = Image.fromarray(images[row]).convert("RGB").resize((TILE, TILE))
            canvas.paste(tile, (place % COLUMNS * (2 * TILE + 8) + side * TILE, place // COLUMNS * (TILE + 8)))
    canvas.save(path)
    marks = [f"{differences[chosen[i]]:.3f}" for i in range(0, len(chosen), COLUMNS)]
    print(f"{path}: {len(order):,} pairs; a row begins at {', '.join(marks)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=300)
    parser.add_argument("--sheet", type=Path, help="a folder for drawings of the images that are paired")
    given = parser.parse_args()
    for name in ("cifar10", "fashion-mnist"):
        raw = data.find(name, given.data_dir).read()
        chosen = raw.train[: given.images]
        assert raw.test is not None and not np.isin(chosen, raw.test).any()
        measure(name, raw.source.images[chosen], given.planted, given.sheet)


if __name__ == "__main__":
    main()
