"""`deckwatch top` against the collector's own API over real HTTP."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.text import Text

from collector.api.metrics import MetricsApi
from collector.metrics.containers import ContainerRow
from collector.metrics.exposition import Exposition
from collector.metrics.head import Head
from deckwatch.runtime.clock import SystemClock
from deckwatch.top.rows import HEADINGS, Container, SortKey, cells, chosen, ordered, rate, size
from deckwatch.top.table import columns_for, live_view, plain_lines
from deckwatch.wire.model import Samples
from tests.collector.metrics.frames import Values, frame

WEB, DB = "ab" * 32, "cd" * 32


def container(name: str, **values: float | str) -> Container:
    return Container(host="h1", name=name, id=name * 8, **values)  # type: ignore[arg-type]


BUSY = container(
    "busy",
    image="busybox:1",
    state="running",
    cpu_cores=1.255,
    memory_working_set_bytes=48 * 1024**2,
    memory_limit_bytes=64 * 1024**2,
    network_receive_bytes_per_s=1500,
    network_transmit_bytes_per_s=0,
    block_read_bytes_per_s=10 * 1024**2,
    pids=12,
    log_lines_per_s=3.25,
)
IDLE = container("idle", cpu_cores=0.001, pids=40)
NEW = container("new")


def test_names_do_not_steer_the_terminal() -> None:
    odd = Container("h\r", "a\x1b[2J\nb", "1", "i\x9b31m", "x\x07")
    assert not set("".join(cells(odd))) & set("\x1b\n\x9b\r\x07")
    (_, line) = plain_lines([odd])
    assert "a\ufffdb" in line


def test_cells() -> None:
    assert cells(BUSY) == [
        "busy",
        "h1",
        "busybox:1",
        "125.5",
        "48.0MiB / 64.0MiB",
        "75.0",
        "1.5KiB/s / 0B/s",
        "10.0MiB/s / -",
        "12",
        "3.2",
        "running",
    ]
    assert cells(NEW) == ["new", "h1", "-", "-", "- / -", "-", "- / -", "- / -", "-", "-", "-"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (SortKey.CPU, ["busy", "idle", "new"]),
        (SortKey.PIDS, ["idle", "busy", "new"]),
        (SortKey.MEMORY, ["busy", "idle", "new"]),
        (SortKey.NAME, ["busy", "idle", "new"]),
    ],
)
def test_order(key: SortKey, names: list[str]) -> None:
    assert [one.name for one in ordered([NEW, IDLE, BUSY], key)] == names


@pytest.mark.parametrize(
    ("patterns", "host", "names"),
    [
        ((), None, ["busy", "idle", "new"]),
        (("busy", "n*"), None, ["busy", "new"]),
        (("idleidle",), None, ["idle"]),  # of its id
        (("idl",), None, []),
        ((), "h2", []),
        ((), "h?", ["busy", "idle", "new"]),
    ],
)
def test_choice(patterns: tuple[str, ...], host: str | None, names: list[str]) -> None:
    assert [one.name for one in chosen([BUSY, IDLE, NEW], patterns, host)] == names


def test_a_pod_is_named_by_pod_and_container() -> None:
    assert cells(Container(host="h", name="k8s_x", id="a" * 64, pod="web-1", container="nginx"))[0] == "web-1/nginx"
    assert cells(Container(host="h", name="", id="a" * 64))[0] == "a" * 12


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0KiB"),
        (1024 * 500, "500KiB"),
        (1024**2, "1.0MiB"),
        (1024**3 * 15.5, "15.5GiB"),
        (1024**4 * 3, "3.0TiB"),
    ],
)
def test_size(value: float | None, text: str) -> None:
    assert size(value) == text
    assert rate(value) == (text if value is None else f"{text}/s")


def test_plain_columns_are_aligned() -> None:
    heading, *rows = plain_lines([BUSY, NEW])
    assert heading.split("  ")[0] == "NAME"
    ends = heading.index("CPU %") + len("CPU %")
    assert [row[ends - 5 : ends] for row in rows] == ["125.5", "    -"]


@pytest.mark.parametrize(
    ("width", "without"),
    [
        (200, set()),
        (130, {"IMAGE", "BLOCK I/O"}),
        (100, {"IMAGE", "BLOCK I/O", "MEM %", "HOST"}),
        (80, {"IMAGE", "BLOCK I/O", "MEM %", "HOST", "NET I/O"}),
    ],
)
def test_a_narrow_terminal_goes_without_some_columns(width: int, without: set[str]) -> None:
    assert set(HEADINGS) - set(columns_for(width)) == without


def test_the_live_view_keeps_to_the_terminal() -> None:
    console = Console(width=100, height=10, record=True, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    many = [container(f"c{number}", cpu_cores=0.5) for number in range(30)]
    console.print(live_view(many, key=SortKey.CPU, width=100, height=10, status=Text("30 containers")))
    lines = console.export_text().rstrip().splitlines()
    console.file.close()
    assert len(lines) == 9
    assert "23 more below" in lines[-1]


def test_the_row_is_the_one_that_the_collector_sends() -> None:
    assert Container.__struct_fields__ == ContainerRow.__struct_fields__


def usage(cpu_s: float) -> Values:
    return {
        "container_cpu_usage_seconds_total{cpu=total}": cpu_s,
        "container_memory_working_set_bytes": 5e6,
        "container_threads": 3.0,
    }


@pytest.fixture
async def collector() -> AsyncIterator[str]:
    clock = SystemClock()
    head = Head(clock, CollectorRegistry())
    targets = {f"id=/docker/{WEB},name=web,image=busybox": 0.0, f"id=/docker/{DB},name=db,image=mysql": 0.0}
    for seq, seconds_ago in enumerate((10, 0)):
        looks = {target: usage(seq * (place + 1.0)) for place, target in enumerate(targets)}
        made = frame(0, looks)
        at_ns = time.time_ns() - seconds_ago * 10**9
        head.take_samples(seq, "h1", Samples(made.source, at_ns, made.tenant, made.schemas, made.targets))
    app = web.Application()
    app.add_routes(MetricsApi(head, Exposition(head, ()), clock, lambda tenant, container_id: 1.5).routes())
    server = TestServer(app)
    async with server:
        yield str(server.make_url("/"))


async def deckwatch(*arguments: str, **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_once(collector: str) -> None:
    code, out, err = await deckwatch("top", "--collector", collector)
    assert (code, err) == (0, "")
    heading, first, second = out.splitlines()
    assert heading.split()[:5] == ["NAME", "HOST", "IMAGE", "CPU", "%"]
    assert first.split()[:5] == ["db", "h1", "mysql", "20.0", "4.8MiB"]
    assert second.split()[:4] == ["web", "h1", "busybox", "10.0"]
    assert second.split()[-3:] == ["3", "1.5", "-"]


async def test_choosing_and_sorting(collector: str) -> None:
    code, out, _ = await deckwatch(
        "top", "--once", "--sort", "name", "--container", "w*", DECKWATCH_COLLECTOR=collector
    )
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "web"]


async def test_another_tenant_sees_nothing(collector: str) -> None:
    _, out, _ = await deckwatch("top", "--tenant", "blue", "--collector", collector)
    assert len(out.splitlines()) == 1


async def test_an_unreachable_collector_is_one_clear_line() -> None:
    code, out, err = await deckwatch("top", "--collector", "http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert "can't reach the collector at http://127.0.0.1:1 (from --collector): Connection refused" in err
    assert len(err.splitlines()) == 1


async def test_something_else_behind_the_address() -> None:
    server = TestServer(web.Application())
    async with server:
        code, _, err = await deckwatch("top", "--collector", str(server.make_url("/")))
    assert code == 2
    assert "answered 404 to /api/v1/containers: is it a collector of this version?" in err


async def test_a_wrong_option() -> None:
    code, _, err = await deckwatch("top", "--sort", "beauty")
    assert code == 2
    assert "'beauty' is not one of" in err


async def test_on_a_terminal_it_is_live_and_ctrl_c_ends_it(collector: str, tmp_path: Path) -> None:
    """In a real pseudo terminal of 100 columns."""
    import pty
    import termios

    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (20, 100))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deckwatch.cli", "top", "--interval", "0.2", "--collector", collector),
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(child)
    loop = asyncio.get_running_loop()
    shown = b""
    async with asyncio.timeout(20):
        while shown.count(b"web") < 2:
            shown += await loop.run_in_executor(None, os.read, parent, 65536)
    os.kill(process.pid, 2)
    async with asyncio.timeout(10):
        code = await process.wait()
    os.close(parent)
    assert b"2 containers, 1 host; by cpu" in shown
    assert code == 130
