"""What probes have in common: their labels, how they fail, what they tell of TLS."""

from __future__ import annotations

from collections.abc import Mapping

from agent.checks.certificate import Handshakes
from deckwatch.runtime.faults import Fault
from deckwatch.wire.model import Column, Labels

JOB = "probe"


class ProbeFailed(Fault):
    """With what was learned all the same."""

    def __init__(self, message: str, series: dict[Column, float] | None = None) -> None:
        super().__init__(message)
        self.series = series or {}


def probe_labels(target: str, more: Mapping[str, str]) -> Labels:
    return tuple(sorted({"job": JOB, "instance": target, **more}.items()))


def tls_series(handshakes: Handshakes) -> dict[Column, float]:
    """Of the last handshake that succeeded; nothing where there was none."""
    if handshakes.last is None:
        return {}
    version = handshakes.last.version() or "unknown"
    series = {Column("probe_tls_version_info", (("version", version.replace("TLSv", "TLS ")),)): 1.0}
    if expiries := handshakes.expiries():
        series[Column("probe_ssl_earliest_cert_expiry")] = min(expiries)
    return series
