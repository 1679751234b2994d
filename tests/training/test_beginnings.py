"""What a training begins with: the order of `auto`, what is asked for by name, licences, and what a run keeps of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_standin import COMMIT, standing_in
from huggingface_hub import constants
from safetensors.torch import save_file

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import digests
from edgebench.records.beginning import Beginning
from edgebench.records.recipe import TrainConfig
from edgebench.training import beginnings, hub, loop, models, studying
from edgebench.training.distributed import World
from edgebench.training.setup import prepare

NAME, TAGGED, NONCOMMERCIAL = "test_resnet", "test_resnet.r160_in1k", "convnextv2_atto.fcmae_ft_in1k"
CONFIG = TrainConfig(model=NAME, subset="60", image_size=32, epochs=1, threads=1, floor=False)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights anywhere, and no network."""
    monkeypatch.setenv("EDGEBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny network of timm's, with a head of 1000 classes."""
    path = tmp_path_factory.mktemp("file") / f"{TAGGED}.safetensors"
    model, _ = models.build(NAME, 1000, 64, seed=5)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


def put(file: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.read_bytes())
    return path


def cache(file: Path, root: Path, repository: str = f"timm/{TAGGED}") -> Path:
    """The Hugging Face cache with this file, as huggingface_hub writes it."""
    folder = root / f"models--{repository.replace('/', '--')}"
    blob = put(file, folder / "blobs" / digests.of_file(file))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    path = folder / "snapshots" / COMMIT / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.symlink_to(blob)
    return path


def test_auto_takes_a_file_then_the_cache_then_random_weights(file: Path, tmp_path: Path) -> None:
    digest = digests.of_file(file)
    found = beginnings.find(CONFIG)
    assert (found.source, found.learned, found.identity, found.title) == ("random", False, "random", "random")
    assert "HF_HUB_OFFLINE is set" in found.why and f"no {NAME}.safetensors in {tmp_path / 'weights'}" in found.why

    path = cache(file, tmp_path / "cache")
    found = beginnings.find(CONFIG)
    assert found == Beginning(
        source="cache", weights=TAGGED, path=str(path), sha256=digest, licence="apache-2.0"
    )  # fmt: skip

    path = put(file, tmp_path / "weights" / f"{NAME}.safetensors")
    found = beginnings.find(CONFIG)
    assert (found.source, found.path, found.weights, found.licence) == ("file", str(path), "", "")
    assert found.title == f"{NAME}.safetensors" and found.identity == digest
    path = put(file, tmp_path / "weights" / file.name)  # the tag says which weights they are, and so their licence
    found = beginnings.find(CONFIG)
    assert (found.path, found.weights, found.licence) == (str(path), TAGGED, "apache-2.0")


def test_auto_takes_the_weights_of_the_hub_and_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    seen: list[tuple[str, int, int]] = []
    size = file.stat().st_size
    with standing_in(f"timm/{TAGGED}", file) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
        found = beginnings.find(CONFIG, on_bytes=lambda *told: seen.append(told))
    assert (found.source, found.sha256) == ("hub", digests.of_file(file)) and seen[-1] == (TAGGED, size, size)
    model, info = models.build(NAME, 10, 32, seed=0)
    began, said = beginnings.begin(model, info, found, init="auto")
    assert began == found and "\n" not in said
    assert said.startswith(f"begins with {TAGGED} of the Hugging Face hub, licence apache-2.0: ")
    assert beginnings.find(CONFIG).source == "cache"
    hub._silent.cache_clear()


def test_weights_by_name_fail_where_auto_goes_on(file: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=f"weights of {NAME} cannot be had: .*HF_HUB_OFFLINE") as caught:
        beginnings.find(replace(CONFIG, init="pretrained"))
    assert "--init FILE.safetensors" in caught.value.fix
    put(file, tmp_path / "weights" / f"{NAME}.safetensors")
    with pytest.raises(EdgebenchError, match="cannot be had"):  # pretrained means timm's, not a file of somebody
        beginnings.find(replace(CONFIG, init="pretrained"))
    assert not beginnings.find(replace(CONFIG, init="random")).learned


@pytest.mark.parametrize(
    ("init", "says"),
    [
        ("missing.safetensors", "does not exist"), (".", "is not a file"), ("w.pth", "is a pickle"),
        ("w.npz", "is not a .safetensors file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_taken(init: str, says: str, tmp_path: Path) -> None:
    for name in ("w.pth", "w.npz"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(BadFile, match=says):
        beginnings.find(replace(CONFIG, init=str(tmp_path / init)))


def test_a_file_that_lies_ready_and_is_wrong_is_an_error_also_for_auto(file: Path, tmp_path: Path) -> None:
    """Its owner put it there on purpose: to begin with something else would hide that."""
    model, info = models.build(NAME, 10, 32, seed=0)
    path = put(file, tmp_path / "weights" / f"{NAME}.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadFile, match="damaged"):
        beginnings.begin(model, info, beginnings.find(CONFIG), init="auto")
    save_file(models.build("test_vit", 10, 64, seed=0)[0].state_dict(), path)
    with pytest.raises(BadFile, match="the weights of another model"):
        beginnings.begin(model, info, beginnings.find(CONFIG), init="auto")
    path.unlink()
    path.mkdir()
    with pytest.raises(BadFile, match="is not a file"):
        beginnings.find(CONFIG)


def test_a_cache_that_was_cut_is_noticed(file: Path, tmp_path: Path) -> None:
    path = cache(file, tmp_path / "cache").resolve()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadFile, match="its sha256 is not that of the hub's file"):
        beginnings.find(CONFIG)


def test_weights_that_a_toml_made_unfit_are_left_by_auto_alone(file: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.toml"
    wide.write_text(f'timm = "{NAME}"\n[arguments]\nlayers = [3, 3, 3, 3]\n')
    cache(file, tmp_path / "cache")
    config = replace(CONFIG, model=str(wide))
    found = beginnings.find(config)
    model, info = models.build(str(wide), 10, 32, seed=0)
    began, said = beginnings.begin(model, info, found, init="auto")
    assert not began.learned and "holds the weights of another model" in said and "begins with random weights" in said
    assert began.identity == found.identity, "it is no beginning that was never tried"
    with pytest.raises(BadFile, match="another model"):
        beginnings.begin(model, info, found, init="pretrained")


def test_a_network_that_is_not_timms(tmp_path: Path) -> None:
    own = replace(CONFIG, model=f"{tmp_path}/net.py:build")
    assert "not a network of timm's" in beginnings.find(own).why
    with pytest.raises(UsageError, match="not a timm model"):
        beginnings.find(replace(own, init="pretrained"))
    assert "timm has no pretrained weights" in beginnings.find(replace(CONFIG, model="coatnet_pico_rw_224")).why


def test_a_licence_that_is_not_permissive(file: Path, tmp_path: Path) -> None:
    only = replace(CONFIG, model=NONCOMMERCIAL.split(".")[0], licence="permissive")
    found = beginnings.find(only)  # no network is needed to refuse
    assert found.refused and not found.learned and "cc-by-nc-4.0, which is not permissive" in found.why
    assert beginnings.check(found, only) == found
    named = replace(only, init="pretrained")
    with pytest.raises(UsageError, match="is cc-by-nc"):
        beginnings.check(beginnings.find(named), named)
    plain = put(file, tmp_path / "plain.safetensors")
    unknown = replace(CONFIG, licence="permissive", init=str(plain))
    with pytest.raises(UsageError, match=r"licence of plain\.safetensors is unknown"):
        beginnings.check(beginnings.find(unknown), unknown)
    assert beginnings.find(replace(unknown, init=str(file))).licence == "apache-2.0"
    model, info = models.build(NAME, 10, 32, seed=0)
    found = replace(beginnings.find(replace(CONFIG, init=str(file))), licence="cc-by-nc-4.0")
    assert "licence cc-by-nc-4.0, which is not permissive" in beginnings.begin(model, info, found, init="x")[1]


def test_what_was_planned_is_what_begins(file: Path, tmp_path: Path) -> None:
    digest = digests.of_file(file)
    with pytest.raises(EdgebenchError, match="not with the weights that it was planned with"):
        beginnings.find(CONFIG, planned=digest)
    cache(file, tmp_path / "cache")
    assert beginnings.find(CONFIG, planned=digest).identity == digest
    assert beginnings.find(CONFIG, planned="random").identity == "random", "also where weights have come since"


def prepared(config: TrainConfig, resumed: Beginning | None = None):
    world = World(0, 1, torch.device("cpu"))
    return prepare(
        config, world, out=Path("unused"), answers=None, resumed=resumed, planned=None, say=lambda sentence: None,
        on_image=lambda done, total: None, on_answer=lambda done, total: None,
        on_weights=lambda name, done, total: None,
    )  # fmt: skip


def test_learned_weights_bring_their_mean_and_a_smaller_rate_also_under_auto(file: Path, tmp_path: Path) -> None:
    plain = prepared(CONFIG)
    cache(file, tmp_path / "cache")
    learned = prepared(CONFIG)
    assert learned.beginning.source == "cache" and not plain.beginning.learned
    assert learned.preprocessing.mean == models.input_statistics(learned.info)[0] != plain.preprocessing.mean
    assert learned.config.lr == plain.config.lr / 15, "a head is fitted first"
    assert prepared(CONFIG, resumed=Beginning()).preprocessing == plain.preprocessing, "a resumed run keeps what it had"


def test_a_head_alone_needs_learned_weights(file: Path) -> None:
    with pytest.raises(UsageError, match=r"head of a random network: .*HF_HUB_OFFLINE"):
        prepared(replace(CONFIG, freeze=True))
    prepared(replace(CONFIG, freeze=True, init=str(file)))


def test_a_study_trains_again_if_auto_has_become_something_else(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run that was killed goes on only from the weights that it began with."""
    out, trained = tmp_path / "out", []

    def train(config: TrainConfig, out: Path, resume: bool):
        trained.append(resume)
        return loop.train(config, out, resume=resume)

    done = studying._trained(CONFIG, out, "random", train)
    assert done.training.beginning.why and done.training.beginning.source == "random"
    assert studying._trained(CONFIG, out, "random", train) == done and trained == [False]
    cache(file, tmp_path / "cache")
    again = studying._trained(CONFIG, out, digests.of_file(file), train)
    assert again.training.beginning.source == "cache" and trained == [False, False]
    assert again.training.beginning.weights == TAGGED
