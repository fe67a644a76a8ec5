"""From discovered labels to targets: addresses, parameters, relabelling. Pure.

The order and the `__...` labels are Prometheus' (scrape/target.go, PopulateLabels).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

import msgspec

from agent.scrape.settings import JobSettings, ScrapeSettings
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.relabel import Rule, relabel
from deckwatch.wire.model import Labels

IDENTITY = "__deckwatch_identity_"
"""Labels of the container that is scraped, which give way to a series' own."""


class Found(msgspec.Struct, frozen=True):
    """What a discovery says of one target."""

    labels: tuple[tuple[str, str], ...]

    @staticmethod
    def of(*parts: Mapping[str, str]) -> Found:
        merged = {name: value for part in parts for name, value in part.items()}
        return Found(tuple(sorted(merged.items())))


class Target(msgspec.Struct, frozen=True):
    url: str
    labels: Labels  # of all its series
    soft: Labels  # likewise, but a series' own label of that name beats them
    interval_s: float
    timeout_s: float
    discovered: Labels = ()  # before relabelling

    @property
    def key(self) -> str:
        """Sixteen hex digits that are its own for ever."""
        text = "\0".join([self.url, *(part for pair in (*self.labels, *self.soft) for part in pair)])
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


class JobDefaults(msgspec.Struct, frozen=True):
    """Labels that a job gives to what its discoveries find."""

    labels: dict[str, str]
    rules: tuple[Rule, ...]


def job_defaults(job: JobSettings, settings: ScrapeSettings) -> JobDefaults:
    interval = job.scrape_interval or settings.scrape_interval
    timeout = job.scrape_timeout or _shorter(settings.scrape_timeout, interval)
    labels = {
        "job": job.job_name,
        "__scrape_interval__": interval,
        "__scrape_timeout__": timeout,
        "__metrics_path__": job.metrics_path,
        "__scheme__": job.scheme,
    }
    labels |= {f"__param_{name}": values[0] for name, values in job.params.items() if values}
    return JobDefaults(labels, tuple(rule.rule() for rule in job.relabel_configs))


def make_target(found: Found, job: JobSettings, defaults: JobDefaults) -> Target | None:
    """None: relabelling drops it. Raises Reject where no target can be made of it."""
    given = {**defaults.labels, **dict(found.labels)}
    labels = relabel(given, defaults.rules)
    if labels is None:
        return None
    address = labels.get("__address__", "")
    if not address:
        raise Reject("no address: set __address__ by relabel_configs")
    if "/" in address or "@" in address or any(character.isspace() for character in address):
        raise Reject(f"{address!r} is no HOST:PORT")
    scheme = labels.get("__scheme__", "")
    if scheme not in ("http", "https"):
        raise Reject(f"{address}: scheme {scheme!r} is neither http nor https")
    interval_s, timeout_s = _times(labels, address)
    visible = {name: value for name, value in labels.items() if not name.startswith("__")}
    visible.setdefault("instance", address)
    soft = {
        name.removeprefix(IDENTITY): value
        for name, value in labels.items()
        if name.startswith(IDENTITY) and name.removeprefix(IDENTITY) not in visible
    }
    return Target(
        url=f"{scheme}://{address}{_path(labels)}{_query(labels, job.params)}",
        labels=tuple(sorted(visible.items())),
        soft=tuple(sorted(soft.items())),
        interval_s=interval_s,
        timeout_s=timeout_s,
        discovered=discovered(found, defaults),
    )


def discovered(found: Found, defaults: JobDefaults) -> Labels:
    """What relabelling begins with."""
    given = {**defaults.labels, **dict(found.labels)}
    return tuple(sorted((name, value) for name, value in given.items() if value))


def _path(labels: Mapping[str, str]) -> str:
    path = labels.get("__metrics_path__", "")
    return path if path.startswith("/") else f"/{path}"


def _query(labels: Mapping[str, str], params: Mapping[str, tuple[str, ...]]) -> str:
    """A __param_ label stands in place of the first value."""
    pairs = [(name, value) for name, values in params.items() for value in values[1:]]
    first = {name.removeprefix("__param_"): value for name, value in labels.items() if name.startswith("__param_")}
    pairs = sorted([*first.items(), *pairs], key=lambda pair: pair[0])
    return "?" + urlencode(pairs) if pairs else ""


def _times(labels: Mapping[str, str], address: str) -> tuple[float, float]:
    try:
        interval_s = duration_s(labels.get("__scrape_interval__", ""))
        timeout_s = duration_s(labels.get("__scrape_timeout__", ""))
    except ValueError as error:
        raise Reject(f"{address}: {error}") from None
    if not 0 < timeout_s <= interval_s:
        raise Reject(f"{address}: a timeout of {timeout_s:g} s doesn't fit an interval of {interval_s:g} s")
    return interval_s, timeout_s


def _shorter(timeout: str, interval: str) -> str:
    return timeout if duration_s(timeout) <= duration_s(interval) else interval


def distinct(targets: Iterable[Target]) -> dict[str, Target]:
    """By key: what two discoveries find alike is scraped once."""
    return {target.key: target for target in targets}
