"""What signals mean: the first SIGTERM or SIGINT stops in good order, a second one at once; SIGHUP reloads."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)


def handle_signals(stop: asyncio.Event, *, reload: Callable[[], None] | None = None) -> None:
    """Call it inside the running loop, in the main thread. Without `reload` SIGHUP stops, as for any program."""
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        """From now on the kernel acts on a further one itself, even if the loop hangs."""
        for each in STOPPING:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        log.info("%s: stopping; once more to exit at once", number.name)
        stop.set()

    for number in STOPPING:
        loop.add_signal_handler(number, first, number)
    if reload is None:
        loop.add_signal_handler(signal.SIGHUP, first, signal.SIGHUP)
    else:
        loop.add_signal_handler(signal.SIGHUP, reload)
