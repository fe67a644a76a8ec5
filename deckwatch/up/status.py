"""The one line that says how things go, from the children's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import aiohttp
import msgspec

from deckwatch.runtime.settings_fields import Secret


class Series(msgspec.Struct, frozen=True):
    """All series of a name whose labels, as they are written, hold `having` and don't hold `lacking`."""

    name: str
    having: str = ""
    lacking: str | None = None


CONTAINERS = Series("deckwatch_discover_containers", having='state="running"')
ACKED = Series("deckwatch_agent_acked_bytes_total")
LAG = Series("deckwatch_agent_lag_bytes")
LOST = Series("deckwatch_agent_gaps_total", lacking='reason="before start"')  # begun behind old lines by wish
LINES = Series("deckwatch_collector_records_total")

FROM_AGENT = (CONTAINERS, ACKED, LAG, LOST)
FROM_COLLECTOR = (LINES,)

Sums = dict[Series, float]


class Reading(msgspec.Struct, frozen=True):
    """Sums of the children's series at one time; one is missing where its child didn't answer."""

    at_s: float  # monotonic
    sums: Sums


def read_sums(exposition: str, wanted: Iterable[Series]) -> Sums:
    """From Prometheus' text format (0.0.4, without time stamps). A name without any series yet sums to 0."""
    sums = dict.fromkeys(wanted, 0.0)
    by_name: dict[str, list[Series]] = {}
    for series in sums:
        by_name.setdefault(series.name, []).append(series)
    for line in exposition.splitlines():
        if line.startswith("deckwatch_"):
            written, _, value = line.rpartition(" ")
            name, _, labels = written.partition("{")
            for series in by_name.get(name, ()):
                if series.having in labels and (series.lacking is None or series.lacking not in labels):
                    sums[series] += float(value)
    return sums


async def fetch_sums(
    session: aiohttp.ClientSession, address: str, wanted: Iterable[Series], token: Secret | None
) -> Sums:
    """Empty where the daemon doesn't answer: it may be starting again."""
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    try:
        async with session.get(f"{address}/metrics", headers=headers) as answer:
            return read_sums(await answer.text(), wanted) if answer.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError):
        return {}


def status_line(before: Reading, now: Reading) -> str:
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


def _rate(before: Reading, now: Reading, series: Series, shown: Callable[[float], str]) -> str:
    """A counter that fell belongs to a daemon that was started again: it counted from 0."""
    if series not in before.sums or series not in now.sums or now.at_s <= before.at_s:
        return "-"
    grown = now.sums[series] - before.sums[series]
    return shown((grown if grown >= 0 else now.sums[series]) / (now.at_s - before.at_s))


def _known(now: Reading, series: Series, shown: Callable[[float], str]) -> str:
    return shown(now.sums[series]) if series in now.sums else "-"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _megabytes(number: float) -> str:
    return f"{number / 1e6:.2f}"
