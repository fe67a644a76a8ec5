"""The one line that says how things go, from the children's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import aiohttp
import msgspec

from deckwatch.runtime.settings_fields import Secret

CONTAINERS = "deckwatch_agent_containers"
ACKED = "deckwatch_agent_acked_bytes_total"
LAG = "deckwatch_agent_lag_bytes"
LOST = "deckwatch_agent_gaps_total"
LINES = "deckwatch_collector_records_total"

FROM_AGENT = (CONTAINERS, ACKED, LAG, LOST)
FROM_COLLECTOR = (LINES,)


class Reading(msgspec.Struct, frozen=True):
    """Sums of the children's series at one time; a name is missing where its child didn't answer."""

    at_s: float  # monotonic
    sums: dict[str, float]


def read_sums(exposition: str, names: Iterable[str]) -> dict[str, float]:
    """The sum over all label sets of each name, from Prometheus' text format (0.0.4, without time stamps)."""
    wanted = frozenset(names)
    sums: dict[str, float] = {}
    for line in exposition.splitlines():
        if not line.startswith("deckwatch_"):
            continue
        series, _, value = line.rpartition(" ")
        name = series.partition("{")[0]
        if name in wanted:
            sums[name] = sums.get(name, 0.0) + float(value)
    return sums


async def fetch_sums(
    session: aiohttp.ClientSession, address: str, names: Iterable[str], token: Secret | None
) -> dict[str, float]:
    """Empty where the daemon doesn't answer: it may be starting again."""
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    try:
        async with session.get(f"{address}/metrics", headers=headers) as answer:
            return read_sums(await answer.text(), names) if answer.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError):
        return {}


def status_line(before: Reading | None, now: Reading) -> str:
    """`1,204 lines/s  0.25 MB/s  3 containers  lag 0 B  lost 0`; a dash stands for what isn't known."""
    return "  ".join(
        (
            f"{_rate(before, now, LINES, _count)} lines/s",
            f"{_rate(before, now, ACKED, _megabytes)} MB/s",
            f"{_known(now, CONTAINERS, _count)} containers",
            f"lag {_known(now, LAG, size)}",
            f"lost {_known(now, LOST, _count)}",
        )
    )


def size(number: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _rate(before: Reading | None, now: Reading, name: str, shown: Callable[[float], str]) -> str:
    """A counter that fell belongs to a daemon that was started again: it counted from 0."""
    if before is None or name not in before.sums or name not in now.sums or now.at_s <= before.at_s:
        return "-"
    grown = now.sums[name] - before.sums[name]
    return shown((grown if grown >= 0 else now.sums[name]) / (now.at_s - before.at_s))


def _known(now: Reading, name: str, shown: Callable[[float], str]) -> str:
    return shown(now.sums[name]) if name in now.sums else "-"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _megabytes(number: float) -> str:
    return f"{number / 1e6:.2f}"
