"""Plugins, run for real: scripts of our own, and Debian's monitoring-plugins."""

from __future__ import annotations

import asyncio
import shlex
import time
from pathlib import Path

import psutil
import pytest

from deckwatch.runtime.faults import Unusable
from tests.agent.checks.rig import Rig

PLUGINS = Path("/usr/lib/nagios/plugins")


def rig(command: str, timeout_s: float = 10) -> Rig:
    return Rig(nagios=[{"name": "it", "command": command, "timeout_s": timeout_s}])


def shell(script: str, timeout_s: float = 10) -> Rig:
    return rig(f"/bin/sh -c {shlex.quote(script)}", timeout_s)


@pytest.mark.parametrize(("code", "state"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (127, 3)])
async def test_states(code: int, state: int) -> None:
    found = await shell(f"echo 'text | a=1ms'; exit {code}").look()
    assert found["nagios_check_state"] == state
    assert found["nagios_perfdata_seconds label=a"] == 0.001
    assert found["nagios_check_timed_out"] == 0


async def test_labels_and_source() -> None:
    one = rig("/bin/true")
    await one.look()
    assert one.frames[0].targets[0].labels == (("check", "it"), ("job", "nagios"))
    assert one.runs("nagios", "ok") == 1


async def test_one_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    one = shell(f"sleep 100 & echo $! > {pid}; wait", timeout_s=0.5)
    begun = time.monotonic()
    found = await one.look()
    assert time.monotonic() - begun < 5
    assert (found["nagios_check_state"], found["nagios_check_timed_out"]) == (3, 1)
    assert one.runs("nagios", "timeout") == 1
    child = int(pid.read_text())
    async with asyncio.timeout(5):
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_one_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    found = await rig("/nonexistent/check_it").look()
    assert found["nagios_check_state"] == 3
    assert "/nonexistent/check_it can't be run: No such file" in caplog.text


async def test_much_output_neither_stops_it_nor_is_it_kept() -> None:
    found = await shell("echo 'OK | a=1'; head -c 3000000 /dev/zero | tr '\\0' x; exit 1").look()
    assert found["nagios_check_state"] == 1
    assert found["nagios_perfdata_value label=a"] == 1


async def test_no_shell_runs_it(tmp_path: Path) -> None:
    await rig(f"/bin/echo ok ; touch {tmp_path / 'made'}").look()
    assert not (tmp_path / "made").exists()


async def test_changes_of_state_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (tmp_path / "code").write_text("2")
    one = shell(f"echo broken; exit $(cat {tmp_path / 'code'})")
    await one.look()
    await one.look()
    (tmp_path / "code").write_text("0")
    await one.look()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["check it: CRITICAL: broken", "check it: OK: broken"]


def test_a_command_that_can_not_be_split() -> None:
    with pytest.raises(Unusable, match="No closing quotation"):
        rig("/bin/echo 'x")


@pytest.mark.parametrize(
    ("command", "state", "series"),
    [
        ("check_dummy 1 careful", 1, ""),
        ("check_procs -w 100000", 0, "nagios_perfdata_value label=procs"),
        ("check_users -w 1000 -c 2000", 0, "nagios_perfdata_value label=users"),
        ("check_disk -w 1 -c 1 -p /", 0, "nagios_perfdata_bytes label=/"),
        ("check_load -w 1000,1000,1000 -c 2000,2000,2000", 0, "nagios_perfdata_value label=load1"),
        ("check_tcp -H 127.0.0.1 -p 1", 2, ""),
    ],
)
async def test_monitoring_plugins(command: str, state: int, series: str) -> None:
    if not (PLUGINS / "check_dummy").exists():
        pytest.skip("no monitoring-plugins here (Debian: apt-get install monitoring-plugins-basic)")
    found = await rig(f"{PLUGINS}/{command}").look()
    assert found["nagios_check_state"] == state
    assert found["nagios_perfdata_unreadable"] == 0
    assert not series or found[series] >= 0
