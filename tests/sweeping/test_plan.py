"""Plans of a sweep: what is wrong with one is told before any work, with the place and the fix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import foreign
import pytest
from adopted_here import adopted
from click.testing import CliRunner
from conftest import needed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import jsonio
from edgebench.records.adopted import Adopted
from edgebench.records.probe import Probe
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact, ModelInfo
from edgebench.sweeping import adopted_models, matrix, plan
from edgebench.sweeping.facts import Facts, exporting, key
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Export, StepOutcome

WRONG = [
    ({"modles": ["resnet50"]}, "did you mean models?"),
    ({"models": []}, "nothing to do"),
    ({"seeds": [0, 1, 0]}, "names 0 twice"),
    ({"seeds": ["one"]}, "expected int"),
    ({"targets": ["onnx", "ort"]}, "unknown target"),
    ({"targets": ["openvino", "ov"]}, "openvino twice"),
    ({"precisions": ["fp31"]}, "did you mean fp32"),
    ({"devices": ["jetson_orion"]}, "jetson_orin"),
    ({"runtimes": ["onnxruntme"]}, "did you mean onnxruntime?"),
    ({"epochs": 3}, "[train]"),
    ({"train": 3}, "is not a table"),
    ({"train": {"epoch": 3}}, "did you mean epochs"),
    ({"train": {"epochs": 0}}, "give at least 1"),
    ({"train": {"epochs": "three"}}, "expected int"),
    ({"run": {"deadline_ms": "20ms"}}, "give the number alone, 20"),
    ({"run": {"duration": 2}}, "did you mean duration_s?"),
    ({"run": {"scenario": "evaluate"}}, "evaluate = true"),
    ({"run": {"launches": 0}}, "give at least 1"),
    ({"export": {"max_batch": 0}}, "give at least 1"),
    ({"evaluate": "yes"}, "expected bool"),
]


@pytest.mark.parametrize(("told", "expected"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told_with_the_fix(told: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as error:
        plan.make(told, "plan.toml")
    assert expected in str(error.value)


def test_a_file_that_is_no_toml_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    for text, expected in (
        ("models = [", "is not TOML"),
        ("models = []", "nothing to do"),
        ("mdels = 1", "did you mean models"),
    ):
        path.write_text(text)
        done = CliRunner().invoke(cli, ["sweep", str(path), "--workspace", str(tmp_path / "runs")])
        assert done.exit_code in (1, 2) and expected in done.output and isinstance(done.exception, SystemExit)
    missing = CliRunner().invoke(cli, ["sweep", str(tmp_path / "no.toml")])
    assert missing.exit_code == 1 and "cannot be read" in missing.output
    assert not (tmp_path / "runs").exists()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab1 ", max_size=5)
KEYS = st.text("ab1 ", max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*plan.LISTS, *plan.TABLES, "evaluate", "x"]), VALUES))
def test_whatever_a_plan_holds_is_a_plan_or_one_clear_error(told: dict[str, Any]) -> None:
    try:
        assert isinstance(plan.make(told), plan.SweepPlan)
    except EdgebenchError as error:
        assert error.message


KNOWN_EXPORTS = exporting(("openvino", "tensorrt"))  # and ONNX, which both are made of
OPENS = {"onnxruntime": "onnx", "openvino": "openvino", "torch": "checkpoint"}
PROBES = [Probe(name=name, accepts=(format,), version="1", computes=("cpu",)) for name, format in OPENS.items()]
SITE = Site(
    device="cpu", compute="cpu", machine="a machine", probes=(*PROBES, Probe(name="tensorrt", error="no TensorRT here"))
)


def made(**told: Any) -> matrix.Matrix:
    wanted = plan.make(told)
    configs = wanted.configs()
    known = Facts(
        contents={key(c): {"dataset": "d"} for c in configs}, datasets={key(c): "digits" for c in configs},
        networks={m: m for m in wanted.models}, exporting=KNOWN_EXPORTS,
    )  # fmt: skip
    return matrix.matrix(wanted, known, [SITE])


def test_the_cells_are_the_product_and_share_their_steps() -> None:
    found = made(models=["a", "b"], subsets=[100, 0.5], seeds=[0, 1], precisions=["fp32", "int8"])
    assert len(found.cells) == 2 * 2 * 2 * 2 * 2 and not found.left_out
    kinds = [step.kind for step in found.steps]
    # onnx fp32 leads to the three others; openvino is made of it, as int8 is.
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"train": 8, "export": 32, "evaluate": 32, "measure": 32}
    assert kinds == sorted(kinds, key=["train", "export", "evaluate", "measure"].index)
    done: set[str] = set()
    for step in found.steps:
        assert set(step.needs) <= done
        done.add(step.identity)


def head(root: Path) -> Artifact:
    """An adopted model."""
    known = Adopted(file="net.onnx", reference="onnxruntime 1", inputs="synthetic", seed=0, requests=2)
    info = ModelInfo(name="net", timm_name="", arguments={}, parameters=1, macs=None, origin="adopted")
    return Artifact(
        format="onnx", precision="fp32", inputs=(), outputs=(), model=info, files={"net.onnx": "a"}, tools={},
        created="", adopted=known, path=root / "net-1-onnx",
    )  # fmt: skip


def test_an_adopted_model_is_exported_and_measured_without_a_training(tmp_path: Path) -> None:
    net = head(tmp_path)
    wanted = plan.make({"models": ["adopted:net"], "precisions": ["fp32", "fp16"], "seeds": [0, 1]})
    assert wanted.configs() == [] and matrix.question(wanted).configs == ()
    facts = Facts(contents={}, datasets={}, networks={}, exporting=KNOWN_EXPORTS)
    found = matrix.matrix(wanted, facts, [SITE], {"adopted:net": net})
    kinds = {(c.target, c.precision): [step.kind for step in c.steps] for c in found.cells}
    assert kinds.pop(("onnx", "fp32")) == ["adopt", "measure"]  # it is that
    assert list(kinds.values()) == [["adopt", "export", "measure"]] * 3
    assert {c.whose for c in found.cells} == {"adopted:net"} and found.steps[0].artifact == net.identity
    outcome = StepOutcome(step=found.steps[0], status="ok", since="", began="")
    assert jsonio.decode(StepOutcome, jsonio.encode(outcome), "here") == outcome

    left = matrix.matrix(wanted, facts, [SITE], {"adopted:net": replace(net, precision="fp16")}).left_out
    assert any("openvino in fp32: it is not made from onnx in fp16, as net was adopted" in one for one in left)


def test_the_inputs_for_int8_of_an_adopted_model_belong_to_its_export(tmp_path: Path) -> None:
    asked = {"models": ["adopted:net"], "precisions": ["int8"], "targets": ["openvino"]}
    facts = Facts(contents={}, datasets={}, networks={}, exporting=KNOWN_EXPORTS)

    def exported(*paths: Path) -> Export:
        wanted = plan.make(asked | {"export": {"calibration": list(map(str, paths))}})
        found = matrix.matrix(wanted, facts, [SITE], {"adopted:net": head(tmp_path)})
        return next(step for step in found.steps if step.kind == "export" and step.precision == "int8")

    (tmp_path / "in").mkdir()
    steps = []
    for content in (b"0", b"0", b"1"):
        (tmp_path / "in" / "a.npz").write_bytes(content)
        steps.append(exported(tmp_path / "in"))
    assert [list(step.calibration) for step in steps] == [[str(tmp_path / "in")]] * 3
    first, same, other = (step.identity for step in steps)
    assert first == same != other and exported().identity not in (first, other)
    with pytest.raises(BadFile, match="does not exist"):
        exported(tmp_path / "no")
    with pytest.raises(UsageError, match="calibration is for adopted models"):
        plan.make({"models": ["resnet18"], "export": {"calibration": ["no"]}})


def test_adopted_models_are_found_by_name_folder_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("onnxruntime", "edgebench[onnx]")
    made, workspace = adopted(foreign.plain(tmp_path / "plain.onnx"), tmp_path)
    monkeypatch.setattr(adopted_models.adopt, "read", lambda path, where: (path, where))
    names = ["adopted:plain", f"adopted:{made.path.name}", f"adopted:{tmp_path / 'plain.onnx'}", "resnet18"]
    found = adopted_models.find(names, workspace)
    assert [found[names[0]].identity, found[names[1]].identity] == [made.identity] * 2
    assert found[names[2]] == (tmp_path / "plain.onnx", workspace) and len(found) == 3
    with pytest.raises(UsageError) as error:
        adopted_models.find(["adopted:plain"], type(workspace)(tmp_path / "empty"))
    assert error.value.fix == "give the path of a model file", "there is none to choose from"
    with pytest.raises(UsageError, match="unknown adopted model 'plan'") as error:
        adopted_models.find(["adopted:plan"], workspace)
    assert "plain" in error.value.fix and "model file" in error.value.fix


def test_what_cannot_be_is_left_out_and_said() -> None:
    found = made(targets=["onnx", "checkpoint"], precisions=["fp32", "int8", "bf16"])
    assert [(c.target, c.precision) for c in found.cells] == [
        ("onnx", "fp32"),
        ("onnx", "int8"),
        ("checkpoint", "fp32"),
    ]
    assert len(found.left_out) == 3
    with pytest.raises(UsageError, match="nothing to do"):
        made(targets=["onnx"], precisions=["bf16"])
    with pytest.raises(UsageError, match="opens none of the targets"):
        made(targets=["onnx"], runtimes=["onnxruntime", "openvino"])


def test_what_has_no_library_here_is_a_cell_that_will_tell_why() -> None:
    found = made(targets=["tensorrt"])
    (cell,) = found.cells
    assert [step.kind for step in cell.steps] == ["train", "export", "export", "evaluate", "measure"]
    assert cell.steps[2].device == "cpu", "an engine is built where it runs"


def test_a_plan_says_what_the_recipes_are() -> None:
    wanted = plan.make({"subsets": [500], "seeds": [3], "train": {"epochs": 2, "lr": 1}, "run": {"max_seconds": 9}})
    assert wanted.configs() == [TrainConfig(subset="500", seed=3, epochs=2, lr=1.0)]
    assert wanted.run.policy.max_seconds == 9


def test_what_a_target_is_made_of_is_known_without_its_library() -> None:
    assert list(KNOWN_EXPORTS) == ["openvino", "tensorrt", "onnx"]
    assert KNOWN_EXPORTS["tensorrt"].on_device and KNOWN_EXPORTS["tensorrt"].accepts["fp16"] == ("onnx", "fp16")


def test_flags_come_over_the_file_setting_by_setting() -> None:
    file = {"models": ["a"], "seeds": [1], "train": {"epochs": 2, "lr": 1.0}, "run": "no table"}
    over = {"seeds": [2, 3], "train": {"epochs": 5}, "run": {"batch": 4}}
    assert plan.overlay(file, over) == {
        "models": ["a"], "seeds": [2, 3], "train": {"epochs": 5, "lr": 1.0}, "run": {"batch": 4},
    }  # fmt: skip


def test_a_setting_of_several_numbers_is_a_table() -> None:
    made = plan.make({"run": {"watts": {"idle": 3.5, "most": 12}}})
    assert str(made.run.power.watts) == "3.5:12"
    with pytest.raises(UsageError, match="expected Watts") as raised:
        plan.make({"run": {"watts": "3.5:12"}})
    assert raised.value.fix == "write a table in the plan: watts = {idle = …, most = …}"
