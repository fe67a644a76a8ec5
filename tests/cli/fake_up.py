"""`deckwatch up` over fake daemons: `python fake_up.py DATA_DIR`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from deckwatch.runtime.faults import Fault, Unusable
from deckwatch.runtime.listen import Listen
from deckwatch.runtime.signals import handle_signals
from deckwatch.up.app import Up
from deckwatch.up.console import Console
from deckwatch.up.plan import UpOptions
from deckwatch.up.restart import Policy

FAKE = (sys.executable, str(Path(__file__).with_name("fake_daemon.py")))


async def run() -> None:
    stop = asyncio.Event()
    options = UpOptions(Path(sys.argv[1]), Listen("127.0.0.1", 0), logs=("/a/*.log",), own_place=True, drain_s=2)
    policy = Policy(first_s=0.05, unready_deaths=3)
    console = Console(sys.stdout, plain_every_s=0.3)
    up = Up(options, console, policy=policy, python=FAKE, status_every_s=0.1)
    handle_signals(stop, reload=up.reload)
    await up.run(stop)


try:
    asyncio.run(run())
except Fault as fault:
    print(f"deckwatch: {fault}", file=sys.stderr)
    sys.exit(2 if isinstance(fault, Unusable) else 1)
