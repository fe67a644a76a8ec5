"""What signals do to a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

DAEMON = """
import asyncio, sys, time
from deckwatch.runtime.signals import handle_signals
async def main():
    stop = asyncio.Event()
    reload = (lambda: print("reloaded", flush=True)) if "reload" in sys.argv else None
    handle_signals(stop, reload=reload)
    print("ready", flush=True)
    await stop.wait()
    print("draining", flush=True)
    if "hang" in sys.argv:
        time.sleep(60)
asyncio.run(main())
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, *arguments], stdout=subprocess.PIPE, text=True)
    assert line(daemon) == "ready"
    return daemon


def line(daemon: subprocess.Popen[str]) -> str:
    assert daemon.stdout is not None
    return daemon.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_one_stops_in_good_order(number: signal.Signals) -> None:
    with start() as daemon:
        daemon.send_signal(number)
        assert line(daemon) == "draining"
        assert daemon.wait(10) == 0


def test_a_second_one_ends_at_once_even_while_the_loop_hangs() -> None:
    with start("hang") as daemon:
        daemon.send_signal(signal.SIGINT)
        assert line(daemon) == "draining"
        before = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == -signal.SIGTERM
        assert time.monotonic() - before < 5


def test_hangup_reloads() -> None:
    with start("reload") as daemon:
        daemon.send_signal(signal.SIGHUP)
        assert line(daemon) == "reloaded"
        daemon.terminate()
        assert daemon.wait(10) == 0
