"""Power mode and clocks are set for a run and put back on every way out of it, on boards and on PCs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jetson_standin import FREE, HELD, Board

from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.machine import clocks
from edgebench.records import processes


@pytest.fixture
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EDGEBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def jetson(tmp_path, monkeypatch, state) -> Board:
    monkeypatch.setenv("STANDIN_BOARD", str(tmp_path / "board"))
    made = Board(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


def test_mode_and_clocks_are_held_and_put_back(jetson, state):
    with clocks.hold("15W", True) as sentence:
        assert jetson.state == HELD and "15W (was 25W)" in sentence and "clocks locked" in sentence
        assert json.loads((state / "restore.json").read_text())["mode"] == {"name": "25W", "number": 1}
        assert clocks.left_behind() is None, "the run still goes on"
        with pytest.raises(EdgebenchError, match="has changed this machine's settings"), clocks.hold("25W", False):
            pytest.fail("two runs cannot both know what was before")
    assert jetson.state == FREE and not list(state.iterdir())
    assert jetson.calls[0].startswith("jetson_clocks --store") and jetson.calls[1:3] == [
        "nvpmodel -m 0",
        "jetson_clocks",
    ]


@pytest.mark.parametrize(("mode", "lock", "held"), [("15W", False, ("0", "306", "0")), (None, True, ("1", "918", "1"))])
def test_only_what_was_asked_for_is_changed(mode, lock, held, jetson, state):
    with clocks.hold(mode, lock):
        assert jetson.state == held
    assert jetson.state == FREE and not list(state.iterdir())


def test_clocks_that_the_user_had_locked_are_locked_afterwards(jetson):
    jetson.set(min="918", emc="1")
    with clocks.hold("15W", True):
        assert jetson.state == HELD
    assert jetson.state == ("1", "918", "1"), "the stored lowest clock fits the mode only once the mode is back"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_it_is_put_back_whatever_ends_the_run(error, jetson, state):
    with pytest.raises(error), clocks.hold("15W", True):
        raise error
    assert jetson.state == FREE and not list(state.iterdir())


def test_the_file_is_written_before_anything_is_changed(jetson, state, monkeypatch):
    seen = []
    real = clocks.jetson_tools.set_mode
    monkeypatch.setattr(
        clocks.jetson_tools, "set_mode", lambda mode: (seen.append((state / "restore.json").exists()), real(mode))
    )
    with clocks.hold("15W", False):
        pass
    assert seen[0] is True


def test_a_mode_that_takes_a_reboot_is_refused_and_nothing_reboots(jetson, state):
    with pytest.raises(Unsupported, match="only by a reboot"), clocks.hold("7W", True):
        pytest.fail("the mode is not set")
    assert jetson.state == FREE and not (jetson.folder / "rebooted").exists() and not list(state.iterdir())


@pytest.mark.parametrize(("asked", "says"), [("16W", "no power mode of this board"), ("W", "no power mode")])
def test_an_unknown_mode_lists_those_there_are(asked, says, jetson, state):
    with pytest.raises(UsageError, match=says) as refused, clocks.hold(asked, True):
        pytest.fail("there is no such mode")
    assert "MAXN_SUPER" in refused.value.fix and jetson.calls == []


def test_modes_are_found_by_name_number_and_watts(jetson):
    conf = "< POWER_MODEL ID=1 NAME=MODE_15W_2CORE >\n< POWER_MODEL ID=2 NAME=MODE_15W_4CORE >\n"
    jetson.set(**{"nvpmodel.conf": conf + "< POWER_MODEL ID=0 NAME=MODE_30W_ALL >\n"})
    find = clocks.jetson_tools.find_mode
    assert [find(asked).number for asked in ("2", "mode_15w_2core", "30W")] == [2, 1, 0]
    with pytest.raises(UsageError, match="fits MODE_15W_2CORE, MODE_15W_4CORE"):
        find("15W")


def test_without_root_nothing_is_touched_and_the_way_is_shown(jetson, state, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unsupported, match="needs root") as refused, clocks.hold("15W", True):
        pytest.fail("this user may not")
    for part in ("sudo", "NOPASSWD", f"{jetson.bin}/nvpmodel, {jetson.bin}/jetson_clocks", str(state)):
        assert part in refused.value.fix
    assert jetson.state == FREE and jetson.calls == []


def test_a_tool_that_fails_is_no_success(jetson, state):
    jetson.set(broken_jetson_clocks="")
    with pytest.raises(EdgebenchError, match=r"jetson_clocks --store .*exit code 3"), clocks.hold("15W", True):
        pytest.fail("the clocks are not held")
    assert jetson.state == FREE


def test_what_cannot_be_put_back_is_said_and_kept(jetson, state):
    with pytest.raises(EdgebenchError, match="jetson_clocks --restore"), clocks.hold(None, True):
        jetson.set(broken_jetson_clocks="")
    assert (state / "restore.json").exists()
    (jetson.folder / "broken_jetson_clocks").unlink()
    assert "clocks" in clocks.restore() and jetson.state == FREE and not list(state.iterdir())
    assert clocks.restore() == ""


def test_a_machine_without_the_tools_says_what_it_can_do(state, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="does not have") as refused, clocks.hold("15W", False, root=tmp_path):
        pytest.fail("there is no nvpmodel")
    assert "drop --power-mode" in refused.value.fix
    with pytest.raises(Unsupported, match="neither"), clocks.hold(None, True, root=tmp_path):
        pytest.fail("there is no cpufreq")
    root = pc(tmp_path / "pc")
    with pytest.raises(Unsupported, match="does not have") as refused, clocks.hold("15W", True, root=root):
        pytest.fail("there is no nvpmodel")
    assert "--lock-clocks alone" in refused.value.fix and not state.exists()


def pc(root: Path, available: str = "performance powersave") -> Path:
    for n in (0, 1):
        folder = root / clocks.POLICIES / f"policy{n}"
        folder.mkdir(parents=True)
        for name, text in (("min_freq", "800000"), ("max_freq", "3400000"), ("governor", "powersave")):
            (folder / f"scaling_{name}").write_text(f"{text}\n")
        (folder / "scaling_available_governors").write_text(f"{available}\n")
    return root


def cpufreq(root: Path) -> list[tuple[str, str]]:
    folders = sorted((root / clocks.POLICIES).iterdir())
    return [tuple((p / f"scaling_{name}").read_text().strip() for name in ("governor", "min_freq")) for p in folders]


@pytest.mark.parametrize(
    ("available", "governor"), [("performance powersave", "performance"), ("ondemand", "powersave")]
)
def test_a_pc_holds_its_clocks_by_cpufreq(available, governor, tmp_path, state, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    root = pc(tmp_path / "pc", available)
    with clocks.hold(None, True, root=root):
        assert cpufreq(root) == [(governor, "3400000")] * 2
    assert cpufreq(root) == [("powersave", "800000")] * 2 and not list(state.iterdir())


def test_a_reboot_undoes_clocks_but_not_the_mode(jetson, state, tmp_path):
    holding = clocks.hold("15W", True)
    holding.__enter__()
    rewrite(state, boot="another", holder=f"{2**22 + 1}-1")
    jetson.set(min="306", emc="0")
    log = len(jetson.calls)
    assert clocks.restore() == "put back: power mode 25W" and jetson.state == FREE
    assert jetson.calls[log:] == ["nvpmodel -m 1"]
    holding.__exit__(None, None, None)


def test_a_run_is_known_by_its_start_since_the_boot_which_no_step_of_the_clock_moves(jetson, state):
    with clocks.hold(None, True):
        rewrite(state, holder=processes.tag(os.getppid()))  # of another process, which lives
        assert clocks.left_behind(state) is None
        with pytest.raises(EdgebenchError, match=f"still goes on .process {os.getppid()}"):
            clocks.restore()
        rewrite(state, holder=f"{os.getppid()}-1")  # its number was used again
        assert clocks.left_behind(state)
        rewrite(state, holder=processes.tag(os.getppid()), boot="another")
        assert clocks.left_behind(state)


def test_what_an_edgebench_of_before_changed_is_put_back(jetson, state):
    with clocks.hold("15W", True):
        told = json.loads((state / "restore.json").read_text())
        del told["holder"]
        old = told | {"pid": 2**22 + 1, "pid_created": 1.7e9, "schema": 1}
        (state / "restore.json").write_text(json.dumps(old))
        assert clocks.left_behind().asked == "--power-mode 15W --lock-clocks"
        assert "power mode 25W" in clocks.restore() and jetson.state == FREE and not list(state.iterdir())


def rewrite(state: Path, **changes) -> None:
    told = json.loads((state / "restore.json").read_text())
    (state / "restore.json").write_text(json.dumps({**told, **changes}))


@pytest.mark.parametrize(
    "name", ["etc/shadow", "../../etc/shadow", f"{clocks.POLICIES}/policy0/../../../x", "/etc/shadow"]
)
def test_a_restore_file_cannot_write_elsewhere(name, tmp_path, state, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    root = pc(tmp_path / "pc")
    with pytest.raises(BadFile, match="no run of edgebench changes"), clocks.hold(None, True, root=root):
        rewrite(state, settings={name: "1"})
    for text in ("", "[]", "{}", "null", '{"schema": 1}'):
        (state / "restore.json").write_text(text)
        with pytest.raises(BadFile):
            clocks.restore(root=root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_no_order(jetson, state):
    with clocks.hold("15W", True):
        os.chown(state / "clocks.conf", 1234, 1234)
        with pytest.raises(Unsupported, match="of user 1234"):
            clocks.restore()
        os.chown(state / "clocks.conf", 0, 0)
    assert jetson.state == FREE


def test_what_was_set_is_told_to_every_user_whatever_roots_umask(jetson, state):
    umask = os.umask(0o077)
    try:
        with clocks.hold("15W", False):
            assert state.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(umask)


def test_a_folder_that_is_closed_to_a_user_ends_no_run_and_is_not_called_empty(jetson, state):
    state.mkdir(mode=0o000)
    me = os.geteuid()
    try:
        os.seteuid(65534 if me == 0 else me)
        assert clocks.left_behind() is None
        with pytest.raises(Unsupported), clocks.hold("15W", False):
            pytest.fail("this user may not")
        with pytest.raises(Unsupported, match="closed to this user"):
            clocks.restore()
    finally:
        os.seteuid(me)
        state.chmod(0o755)


HOLD = """
import sys, time
from edgebench.machine import clocks
with clocks.hold("15W", True) as sentence:
    print(sentence, flush=True)
    time.sleep(600)
"""


def killed_by(number: signal.Signals) -> int:
    """A run that holds the settings, and is sent this signal while it does."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as run:
        assert "held for this run" in run.stdout.readline()
        run.send_signal(number)
        return run.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_puts_back(number, jetson, state):
    assert killed_by(number) in (128 + number, 1, -number)  # Python ends by SIGINT itself after a KeyboardInterrupt
    assert jetson.state == FREE and not list(state.iterdir())


def test_after_a_kill_the_next_run_says_so_and_restore_puts_back(jetson, state, tmp_path):
    assert killed_by(signal.SIGKILL) == -signal.SIGKILL
    assert jetson.state == HELD and clocks.left_behind().asked == "--power-mode 15W --lock-clocks"
    run = CliRunner().invoke(cli, ["run", "--workspace", str(tmp_path / "empty"), "--power-mode", "25W"])
    assert run.exit_code == 1
    with pytest.raises(EdgebenchError, match="devices restore"), clocks.hold("25W", False):
        pytest.fail("what was before is not what is now")
    done = CliRunner().invoke(cli, ["devices", "restore", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["restored"], done.output
    assert jetson.state == FREE and not list(state.iterdir())
    again = CliRunner().invoke(cli, ["devices", "restore"])
    assert (again.exit_code, again.stdout) == (0, "nothing to put back\n")
