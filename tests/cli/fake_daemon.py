"""A daemon as `deckwatch up` knows it, without the work: announces, serves /metrics, drains. FAKE_<PART> misbehaves.

exit 2     can't run as configured        crash   dies before it is ready, each time
hang       doesn't heed SIGTERM           noise   writes what is no log line
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from deckwatch.runtime.announce import Announced, announce
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.http import serve
from deckwatch.runtime.listen import parse_listen
from deckwatch.runtime.logging import LogFormat, LogSettings, setup_logging
from deckwatch.runtime.parent import SUPERVISOR_VARIABLE, die_with
from deckwatch.runtime.signals import handle_signals

METRICS = """# TYPE deckwatch_agent_lag_bytes gauge
deckwatch_agent_lag_bytes 1500
deckwatch_discover_containers{state="running"} 3
deckwatch_discover_containers{state="exited"} 8
deckwatch_agent_gaps_total{reason="before start"} 4
deckwatch_agent_gaps_total{reason="truncated"} 0
"""


async def run(part: str, folder: Path, listen: str) -> None:
    stop = asyncio.Event()
    handle_signals(stop, reload=lambda: logging.getLogger(part).warning("reloaded"))
    app = web.Application()
    app.router.add_get("/metrics", lambda request: metrics(request, part))
    with DataDir.open(folder, 1, part=part) as data_dir:
        server = await serve(app, parse_listen(listen), data_dir=data_dir)
        if part == "agent":
            announce(Announced.FINDING, "Docker", what="Docker Engine", reached=True, detail="3 containers")
            announce(
                Announced.FINDING, "pods", what="/var/log/pods", reached=False, detail="no such folder", mend="none"
            )
        announce(Announced.READY, f"listening on {server.address}", address=server.address)
        (folder / "pid").write_text(str(os.getpid()))
        await stop.wait()
        (folder / "stopped").write_text(str(asyncio.get_running_loop().time()))
        announce(Announced.DRAINED, "drained", lines=1200, bytes=34_000, unread_bytes=0)
        await server.close()


async def metrics(request: web.Request, part: str) -> web.Response:
    return web.Response(text=METRICS if part == "agent" else "deckwatch_collector_records_total 7\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("--data-dir", "--state-dir", type=Path)
    parser.add_argument("--listen")
    known, others = parser.parse_known_args()
    die_with(int(os.environ[SUPERVISOR_VARIABLE]))
    setup_logging(LogSettings(format=LogFormat.JSON))
    logging.getLogger(known.part).warning("called with %s", " ".join(others))
    misbehave(os.environ.get(f"FAKE_{known.part.upper()}", ""))
    asyncio.run(run(known.part, known.data_dir, known.listen))


def misbehave(how: str) -> None:
    if how == "exit 2":
        print("deckwatch: --listen 127.0.0.1:1: the port is in use", file=sys.stderr)
        sys.exit(2)
    if how == "crash":
        raise SystemError("no luck")
    if how == "noise":
        print("Traceback \x1b[31m(most recent call last)")
    if how == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


if __name__ == "__main__":
    main()
