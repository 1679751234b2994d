"""Frozen features: what they are, that a changed image's are computed anew, and that a damaged cache is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import needed
from datasets import random_images
from factories import NET, PREPROCESSING, make_artifact
from torch import nn

from edgebench.artifact import preprocess
from edgebench.errors import EdgebenchError, UsageError
from edgebench.specs import Training
from edgebench.training import feature_engines, models
from edgebench.training.backbone import Backbone, divided
from edgebench.training.feature_cache import FeatureCache, hashes
from edgebench.training.features import Features

SIZE = PREPROCESSING.height


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    file = tmp_path_factory.mktemp("net") / "net.py"
    file.write_text(NET.replace("5, stride=4", "3, stride=2"))
    return divided(*models.build(f"{file}:build", 3, SIZE, 0), PREPROCESSING)


@pytest.fixture(scope="module")
def training() -> Training:
    return make_artifact().training


@pytest.fixture
def only_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    last = feature_engines.engines()[-1]
    monkeypatch.setattr(feature_engines, "engines", lambda: [last])


Made = Callable[..., Features]


@pytest.fixture
def made(backbone: Backbone, training: Training, tmp_path: Path, only_torch: None) -> Made:
    """The features of the same network over the same cache, each time by a new process, as it were."""
    return lambda of=backbone, say=lambda sentence: None: Features(of, training, tmp_path / "features", say)


def expected(backbone: Backbone, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return backbone.network[:-1](torch.from_numpy(preprocess(images, PREPROCESSING))).numpy()


def test_features_are_what_the_classifier_reads(backbone: Backbone, made: Made) -> None:
    images = random_images(5, SIZE)
    with made() as features:
        assert features.of(images) == pytest.approx(expected(backbone, images), rel=2e-3, abs=1e-4)
        mirror = features.of(images, mirrored=True)
    assert mirror == pytest.approx(expected(backbone, images[:, :, ::-1]), rel=2e-3, abs=1e-4)
    assert mirror.dtype == np.float16


def test_only_a_changed_image_is_computed_anew(backbone: Backbone, made: Made) -> None:
    images = random_images(6, SIZE)
    with made() as features:
        before = features.of(images)
        assert features.computed == 6
    images[2, 0, 0, 0] ^= 255
    with made() as features:
        after = features.of(images[::-1])[::-1]
        assert features.computed == 1
    assert after[[0, 1, 3, 4, 5]].tolist() == before[[0, 1, 3, 4, 5]].tolist()
    assert after[2] == pytest.approx(expected(backbone, images[2:3])[0], rel=2e-3, abs=1e-4)
    assert after[2].tolist() != before[2].tolist()


def test_other_weights_have_a_cache_of_their_own(backbone: Backbone, made: Made) -> None:
    images = random_images(3, SIZE)
    with made() as features:
        features.of(images)
    other, info = backbone.network, backbone.info
    changed = nn.Sequential(*(layer for layer in other))
    changed.load_state_dict({name: tensor + 0.1 for name, tensor in other.state_dict().items()})
    network = type(backbone)(network=nn.Sequential(*map(_copied, changed)), info=info, preprocessing=PREPROCESSING,
                             layer=backbone.layer, width=backbone.width)  # fmt: skip
    with made(network) as features:
        features.of(images)
        assert features.computed == 3


def _copied(layer: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(layer)


def test_a_cache_cut_in_half_is_noticed(made: Made, tmp_path: Path) -> None:
    images, told = random_images(4, SIZE), []
    with made() as features:
        before = features.of(images)
    (file,) = (tmp_path / "features").glob("*/*.npz")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with made(say=told.append) as features:
        assert features.of(images).tolist() == before.tolist()
        assert features.computed == 4
    assert any("is damaged and not used" in sentence and file.name in sentence for sentence in told)
    assert len(list((tmp_path / "features").glob("*/*.npz"))) == 1


def test_a_cache_of_another_kind_is_not_believed(tmp_path: Path) -> None:
    told: list[str] = []
    cache = FeatureCache(tmp_path, {"network": "a"}, told.append)
    cache.add(hashes(random_images(2, SIZE)), np.zeros((2, 4), np.float16))
    (file,) = cache.folder.glob("*.npz")
    np.savez(cache.folder / "forged.npz", images=np.zeros(16, np.uint8), features=np.ones((1, 4), np.float16))
    again = FeatureCache(tmp_path, {"network": "a"}, told.append)
    assert len(again) == 2
    assert len(told) == 1
    assert file.is_file()
    assert not len(FeatureCache(tmp_path, {"network": "b"}, told.append))


def test_features_too_large_for_the_cache_are_refused(
    backbone: Backbone, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = feature_engines.engines()[-1]
    huge = lambda images: np.full((len(images), backbone.width), 1e6, np.float32)  # noqa: E731
    monkeypatch.setattr(feature_engines, "opened", lambda *given: (engine, huge))
    with made() as features, pytest.raises(EdgebenchError, match="not finite or above 65,504"):
        features.of(random_images(2, SIZE))


def test_runtimes_give_the_features_of_torch(
    training: Training, tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("onnxruntime", "it computes features")
    monkeypatch.setenv("EDGEBENCH_TRUST_MODEL", backbone.info.name)
    images, told = random_images(19, SIZE), []
    with Features(backbone, training, tmp_path, told.append) as features:
        found = features.of(images)
        assert features.engine in feature_engines.engines()[:-1], told
    assert found == pytest.approx(expected(backbone, images), rel=2e-3, abs=1e-4)
    assert not told


def test_a_body_that_cannot_be_exported_is_computed_by_torch_and_that_is_said(
    backbone: Backbone, training: Training, tmp_path: Path
) -> None:
    needed("onnxruntime", "without a runtime nothing is exported")
    told: list[str] = []
    with Features(backbone, training, tmp_path, told.append) as features:
        features.of(random_images(2, SIZE))
        assert features.engine.name == feature_engines.TORCH
    assert len(told) == 1
    assert "cannot be exported" in told[0]


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ("nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()", "no linear layer"),
        ("nn.Flatten(), nn.Linear(192, num_classes), nn.Softmax(1)", "not those of its last linear layer"),
        ("nn.Flatten(), nn.Linear(192, num_classes, bias=False)", "no linear classifier"),
    ],
)
def test_a_network_without_a_classifier_apart_is_refused(layers: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        f"from torch import nn\n\ndef build(num_classes, image_size):\n    return nn.Sequential({layers})\n"
    )
    network, info = models.build(f"{tmp_path / 'net.py'}:build", 3, SIZE, 0)
    with pytest.raises(UsageError, match=why):
        divided(network, info, PREPROCESSING)


def test_the_classifier_that_is_put_in_answers() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    backbone = Backbone(network=network, info=make_artifact().model, preprocessing=PREPROCESSING, layer="1", width=192)
    weight, bias = np.ones((2, 192), np.float32), np.array([1, -1], np.float32)
    with torch.no_grad():
        assert backbone.with_classifier(weight, bias)(torch.ones(1, 3, 8, 8)).tolist() == [[193, 191]]
