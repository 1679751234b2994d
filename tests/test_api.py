"""The functions of the package: found when asked for, named and defaulted as the commands are, clear when misused."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from factories import make_result, make_samples

import edgebench
from edgebench import results
from edgebench.choosing.limits import Limits
from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.measuring.options import RunOptions
from edgebench.results import store

FUNCTIONS = (
    "train", "export", "evaluate", "run", "compare", "select", "estimate", "tune", "pick", "probe", "sweep", "study"
)  # fmt: skip


def test_importing_the_package_loads_nothing_else_and_its_names_stay_functions() -> None:
    code = (
        "import sys, json, edgebench\n"
        "light = sorted(m.split('.')[0] for m in sys.modules)\n"
        "import edgebench.measuring.running, edgebench.comparing.judging, edgebench.choosing.selecting\n"
        f"kinds = [callable(getattr(edgebench, name)) for name in {FUNCTIONS!r}]\n"
        "print(json.dumps([light, kinds, edgebench.results.load.__module__, 'train' in dir(edgebench)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    light, kinds, module, listed = json.loads(done.stdout)
    assert not {"numpy", "torch", "click", "rich", "psutil"} & set(light)
    assert all(kinds) and module == "edgebench.results" and listed


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = edgebench.trian
    assert not hasattr(edgebench, "__path_of_nothing__")


def options_of(name: str) -> dict[str, click.Option]:
    """The options of a command, and of those inside it where it is a group, by the name of the argument."""
    command = cli.get_command(click.Context(cli), name)
    inside = command.commands.values() if isinstance(command, click.Group) else [command]
    return {p.name: p for each in inside for p in each.params if isinstance(p, click.Option)}


def default_of(option: click.Option) -> object:
    """What the command's function gets where nothing is given."""
    value = option.default if option.multiple else option.type.convert(option.default, option, None)
    return option.callback(click.Context(cli), option, value) if option.callback else value


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_default_is_that_of_the_command(name: str) -> None:
    options = options_of(name)
    for parameter in inspect.signature(getattr(edgebench, name)).parameters.values():
        option = options.get(parameter.name)
        plain = parameter.default is not None and option is not None and not callable(option.default)
        if plain and isinstance(option.default, (int, float, str, tuple)) and parameter.name != "workspace":
            default = default_of(option)
            given = tuple(parameter.default) if isinstance(default, list) else parameter.default
            expected = tuple(default) if isinstance(default, list) else default
            assert given == (str(expected) if isinstance(expected, Path) else expected), parameter.name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed_and_told(name: str) -> None:
    function = getattr(edgebench, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty and len(function.__doc__) > 300
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_the_limits_of_select_are_all_there_are() -> None:
    names = set(inspect.signature(edgebench.select).parameters)
    assert {field.name for field in dataclasses.fields(Limits)} <= names


def test_a_mistyped_setting_is_named() -> None:
    with pytest.raises(UsageError, match="epoch") as told:
        edgebench.train(epoch=3)
    assert "epochs" in str(told.value)
    with pytest.raises(UsageError, match="steams"):
        edgebench.run([], steams=2)
    with pytest.raises(UsageError, match="no artifact"):
        edgebench.run([])
    with pytest.raises(UsageError, match="epoch") as told:
        edgebench.study("samples", epoch=3)
    assert "epochs" in str(told.value)
    with pytest.raises(UsageError, match="varies seed itself"):
        edgebench.study("samples", seed=3)
    with pytest.raises(UsageError, match="sample"):
        edgebench.study("sample")
    with pytest.raises(UsageError, match="nothing to train"):
        edgebench.study("convergence", models=[])
    with pytest.raises(UsageError, match="modells"):
        edgebench.sweep(modells=["resnet18"])
    with pytest.raises(UsageError, match="max_p99"):
        edgebench.pick("digits", max_p99=3)
    assert {"streams", "rate_hz", "strict"} <= {field.name for field in dataclasses.fields(RunOptions)}


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    for call in (edgebench.export, edgebench.run, edgebench.evaluate, edgebench.tune, edgebench.estimate):
        with pytest.raises(EdgebenchError, match="edgebench train"):
            call(workspace=tmp_path)
    with pytest.raises(EdgebenchError, match="no results"):
        edgebench.select(tmp_path)
    with pytest.raises(BadFile):
        edgebench.compare(tmp_path / "none", tmp_path)


def test_select_and_compare_take_results_and_folders_alike(tmp_path: Path) -> None:
    fast, slow = ([make_samples((ms * 1_000_000,) * 300)] * 5 for ms in (2, 3))
    base, new = make_result(samples=fast), make_result(samples=slow, created="2026-01-02T00:00:00.000000+00:00")
    for result, folder in ((base, "base"), (new, "new")):
        store.save(result, tmp_path / folder / "results")
    for sides in ((base, new), ([base], [new]), (tmp_path / "base", str(tmp_path / "new" / "results"))):
        (cell,) = edgebench.compare(*sides).cells
        assert cell.outcome == "slower" and cell.ratio == pytest.approx(1.5)
    for where in (base, [base], tmp_path / "base", str(tmp_path / "base" / "results")):
        assert edgebench.select(where, max_median_ms=2.5).chosen.row.median_ms == 2.0
        assert edgebench.select(where, max_median_ms=1.5).chosen is None
    with pytest.raises(UsageError, match="--min-accuracy"):
        edgebench.select(base, min_accuracy=90)


def test_a_file_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    store.save(make_result(), tmp_path)
    (tmp_path / "bad.json").write_text("{")
    for call in (edgebench.select, results.load):
        with pytest.warns(UserWarning, match=r"bad\.json"):
            call(tmp_path)


def test_the_table_of_results(tmp_path: Path) -> None:
    old, new = make_result(), make_result(created="2026-01-02T00:00:00.000000+00:00")
    bad = make_result(status="timeout", runtime="openvino", created="2026-01-03T00:00:00.000000+00:00")
    for result in (old, new, bad):
        store.save(result, tmp_path / "results")
    table = results.load(tmp_path)
    assert len(table) == 2 and len(results.load(str(tmp_path / "results"), newest=False)) == 3
    assert {"median_ms", "throughput_per_s", "peak_memory_mib", "energy_mj", "model_size_mib"} <= set(table.columns)
    (good,) = table[table.status == "ok"].to_dict("records")
    assert good["median_ms"] == pytest.approx(1.049) and good["created"].isoformat() == "2026-01-02T00:00:00+00:00"
    assert table[table.status == "timeout"].median_ms.isna().all(), "what was not measured is missing, never 0"
    with pytest.raises(BadFile, match="does not exist"):
        results.load(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(results.load(empty)) == 0 and "median_ms" in results.load(empty).columns
