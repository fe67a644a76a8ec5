"""Samples for a real Prometheus, and questions to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

from collector.metrics.promql.numbers import format_short
from collector.metrics.promql.quoting import quote
from deckwatch.wire.model import Labels

Series = tuple[Labels, list[int], list[float]]
"""Labels, times in ms, values."""


def openmetrics(series: Iterable[Series]) -> Iterator[str]:
    """Lines. Every family is of unknown type, so that its samples may have any name; series of one name must come one
    after the other."""
    declared = ""
    for labels, times_ms, values in series:
        name = dict(labels)["__name__"]
        if name != declared:
            declared = name
            yield f"# TYPE {name} unknown\n"
        inner = ",".join(f"{label}={quote(value)}" for label, value in labels if label != "__name__")
        for at_ms, value in zip(times_ms, values, strict=True):
            yield f"{name}{{{inner}}} {format_short(value)} {at_ms / 1000:.3f}\n"
    yield "# EOF\n"


def ask(url: str, path: str, **parameters: object) -> dict[str, Any]:
    """The answer's JSON, of an error too."""
    form = urllib.parse.urlencode(parameters).encode()
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}", data=form, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            answer = json.load(error)
    return answer
