"""Processes by name: pure accounting as a dialogue of looks, a tree of files, and real processes of this machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from agent.sample.process_details import MOST_PROCESSES, UNKNOWN, Descriptors, Details
from agent.sample.process_groups import KEEP_LOOKS, ProcessGroups, Seen
from agent.sample.process_stat import KERNEL, Io, ProcessStat, parse_io, parse_stat, read_command
from agent.sample.processes import ProcessSource
from agent.sample.settings import SampleSettings
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Samples
from tests.agent.sample.trees import Series, StrictFaults, series_of

EVERY = SampleSettings(interval_s=1, process_interval_s=1)
CPU = "namedprocess_namegroup_cpu_seconds_total"
USER, SYSTEM = (CPU, (("mode", "user"),)), (CPU, (("mode", "system"),))


def stat_line(pid: int, name: str = "app", *, cpu: int = 0, rss: int = 10, start: int = 100, flags: int = 0) -> str:
    return (
        f"{pid} ({name}) S 1 {pid} {pid} 0 -1 {flags} 1 2 33 4 {cpu} {cpu} 5 6 20 0 3 0 {start} 4096 {rss} " + "0 " * 28
    )


def stat(pid: int, name: str = "app", *, cpu: int = 0, rss: int = 10, start: int = 100) -> Seen:
    parsed = parse_stat(pid, stat_line(pid, name, cpu=cpu, rss=rss, start=start).encode())
    return Seen(parsed, parsed.name)


@pytest.mark.parametrize(
    ("name", "want"),
    [("nginx", "nginx"), ("my app) S 1 (x", "my app) S 1 (x"), ("a\xff", "a\ufffd")],
)
def test_stat(name: str, want: str) -> None:
    text = stat_line(42, name, cpu=7, rss=3).encode("latin-1")
    page = os.sysconf("SC_PAGE_SIZE")
    assert parse_stat(42, text) == ProcessStat(42, want, "S", 7, 7, 33, 3, 100, 3 * page, False)
    assert parse_stat(42, stat_line(42, "kworker/0:1", flags=0x00200040).encode()).name == KERNEL


def test_io() -> None:
    text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n"
    assert parse_io(text) == Io(4096, 8192)


def test_counters_go_on_when_processes_end() -> None:
    groups = ProcessGroups(top=5)
    groups.take([stat(1, cpu=100), stat(2, cpu=50)])
    app = groups.groups["app"]
    assert (app.user_ticks, app.processes, app.threads) == (0, 2, 6)  # what was before the first look is nobody's
    groups.take([stat(1, cpu=110), stat(2, cpu=50), stat(3, cpu=4)])
    assert (app.user_ticks, app.system_ticks, app.processes) == (14, 14, 3)  # the new one counts from its start
    groups.take([stat(1, cpu=115)])
    assert (app.user_ticks, app.processes) == (19, 1)
    groups.take([stat(1, cpu=6, start=999)])  # the number again, another process
    assert app.user_ticks == 25
    groups.take([])
    assert (app.user_ticks, app.processes, app.resident_bytes) == (25, 0, 0)


def test_the_first_by_cpu_and_by_memory() -> None:
    groups = ProcessGroups(top=1)
    groups.take([stat(1, "quiet", rss=5), stat(2, "busy", cpu=5, rss=1), stat(3, "fat", rss=900)])
    assert set(groups.shown()) == {"fat"}  # nobody has been seen at work yet
    groups.take([stat(1, "quiet", rss=5), stat(2, "busy", cpu=50, rss=1), stat(3, "fat", rss=900)])
    assert set(groups.shown()) == {"busy", "fat"}


def test_a_name_stays_for_a_while() -> None:
    groups = ProcessGroups(top=1)
    groups.take([stat(1, "a", rss=9), stat(2, "b", rss=1)])
    assert set(groups.shown()) == {"a"}
    for _ in range(KEEP_LOOKS - 1):
        groups.take([stat(2, "b", rss=1)])
        assert set(groups.shown()) == {"a", "b"}
    groups.take([stat(2, "b", rss=1)])
    assert set(groups.shown()) == {"b"}
    groups.take([stat(2, "b", rss=1)])
    assert set(groups.groups) == {"b"}  # forgotten: names are anybody's to make up


def test_no_more_than_four_times_the_top() -> None:
    groups = ProcessGroups(top=2)
    for look in range(8):
        groups.take([stat(look, f"job-{look}", rss=9), stat(100 + look, f"more-{look}", rss=8)])
        shown = set(groups.shown())
        assert len(shown) <= 8
        assert {f"job-{look}", f"more-{look}"} <= shown
    assert ProcessGroups(top=0).shown() == {}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/stat").write_text("cpu 1\nbtime 1000\n")
    (tmp_path / "proc/sys/kernel/pid_max").write_text("32768\n")
    return tmp_path / "proc"


def put(proc: Path, pid: int, name: str, *, cpu: int = 0, command: str = "", read: int = 0) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(stat_line(pid, name, cpu=cpu, start=os.sysconf("SC_CLK_TCK") * 5))
    (folder / "cmdline").write_text(command.replace(" ", "\0") + "\0")
    (folder / "io").write_text(f"read_bytes: {read}\nwrite_bytes: 0\n")


def named(frame: Samples | None) -> dict[str, Series]:
    assert frame is not None
    return {dict(labels)["groupname"]: series for labels, series in series_of(frame).items() if labels}


def test_a_tree(proc: Path) -> None:
    put(proc, 1, "init")
    put(proc, 7, "app", command="/usr/bin/app --password=secret")
    source = ProcessSource(EVERY, str(proc.parent), StrictFaults())
    source.look(1)
    ticks = os.sysconf("SC_CLK_TCK")
    put(proc, 7, "app", cpu=3 * ticks, command="/usr/bin/app --password=secret", read=4096)
    frame = source.look(2)
    app = named(frame)["app"]
    assert (app[USER], app[SYSTEM]) == (3, 3)
    assert app["namedprocess_namegroup_read_bytes_total", ()] == 4096
    assert app["namedprocess_namegroup_oldest_start_time_seconds", ()] == 1005
    assert frame is not None
    host = series_of(frame)[()]
    assert host["node_processes_pids", ()] == 2
    assert host["node_processes_threads", ()] == 6
    assert host["node_processes_state", (("state", "S"),)] == 2
    assert host["node_processes_max_processes", ()] == 32768
    assert "secret" not in repr(frame)
    assert {column.name for schema in frame.schemas for column in schema} <= set(CATALOGUE)


def test_commands_only_when_asked_for(proc: Path) -> None:
    put(proc, 7, "app", command="/usr/bin/app --shard 3 " + "x" * 500)
    settings = SampleSettings(interval_s=1, process_interval_s=1, process_names="command")
    source = ProcessSource(settings, str(proc.parent), StrictFaults())
    (name,) = named(source.look(1))
    assert name.startswith("/usr/bin/app --shard 3 xxx")
    assert len(name) == 120
    put(proc, 7, "other", command="/bin/other")  # exec(2): the same process, another program
    assert "/bin/other" in named(source.look(2))


def test_names_that_have_gone_are_ended_once(proc: Path) -> None:
    put(proc, 7, "app")
    source = ProcessSource(EVERY, str(proc.parent), StrictFaults())
    source.look(1)
    for file in ("stat", "cmdline", "io"):
        (proc / "7" / file).unlink()
    (proc / "7").rmdir()
    ended = [frame.ended for _ in range(KEEP_LOOKS + 3) if (frame := source.look(2)) is not None]
    assert sum(ended, ()) == ((("groupname", "app"),),)


def test_only_every_so_many_looks() -> None:
    source = ProcessSource(SampleSettings(interval_s=10, process_interval_s=30), "/", StrictFaults())
    assert [source.look(at) is not None for at in range(7)] == [True, False, False, True, False, False, True]


def test_a_real_process_at_work() -> None:
    """Its CPU time as the kernel counts it, and its command where somebody asks."""
    source = ProcessSource(EVERY, "/", StrictFaults())
    source.look(1)
    busy = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done", "dw-busy"])
    try:
        deadline = time.monotonic() + 20
        while (fields := Path(f"/proc/{busy.pid}/stat").read_text().rsplit(")", 1)[1].split())[11] < "1":
            time.sleep(0.05)
            assert time.monotonic() < deadline, fields
        time.sleep(1)
        before_s = spent_s(busy.pid)
        series = named(source.look(2))["sh"]
        after_s = spent_s(busy.pid)
        command = read_command("/proc", busy.pid)
    finally:
        busy.kill()
        busy.wait()
    assert before_s <= series[USER] + series[SYSTEM] <= after_s + 0.5  # other shells of this machine may work too
    assert command == "/bin/sh -c while :; do :; done dw-busy"


def test_descriptors_of_a_real_process(tmp_path: Path) -> None:
    """As many as it opened, and how near it came to its limit; of too many processes nothing is said."""
    opened = "".join(f"exec {number}>{tmp_path}/{number}; " for number in range(3, 9))
    held = subprocess.Popen(
        ["/bin/sh", "-c", f"ulimit -n 64; {opened} echo ready; read done"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    details, key = Details("/proc"), (held.pid, 0)
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == b"ready\n"
        want = sum(1 for _ in Path(f"/proc/{held.pid}/fd").iterdir())
        for _ in range(2):  # the second time of an object that is kept
            assert details.descriptors({"sh": [key]}) == {"sh": Descriptors(want, want / 64)}
        assert details.descriptors({"sh": [key] * (MOST_PROCESSES + 1)}) == {"sh": UNKNOWN}
        details.descriptors({"sh": [key]})
    finally:
        held.kill()
        held.communicate()
    assert details.descriptors({"sh": [key]}) == {"sh": UNKNOWN}


def test_descriptors_of_a_tree(proc: Path) -> None:
    put(proc, 7, "app")
    (proc / "7/fd").mkdir()
    for number in range(5):
        (proc / f"7/fd/{number}").symlink_to("/dev/null")
    app = named(ProcessSource(EVERY, str(proc.parent), StrictFaults()).look(1))["app"]
    assert app["namedprocess_namegroup_open_filedesc", ()] == 5
    assert ("namedprocess_namegroup_worst_fd_ratio", ()) not in app  # its number says nothing in our namespace


def spent_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
