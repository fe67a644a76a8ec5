"""Functions over text that Prometheus and Alertmanager share."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
from polars.exceptions import ComputeError

from alerting.templates.values import Datum, FunctionFailed, SafeHtml, as_text


def match(pattern: Datum, text: Datum) -> bool:
    return bool(_regex(lambda: pl.Series([as_text(text)]).str.contains(as_text(pattern), strict=True).item()))


def replace_all(pattern: Datum, replacement: Datum, text: Datum) -> str:
    return str(
        _regex(lambda: pl.Series([as_text(text)]).str.replace_all(as_text(pattern), as_text(replacement)).item())
    )


def strip_port(text: Datum) -> str:
    found = re.fullmatch(r"\[?([^\[\]]*?)\]?:([0-9a-z]*)", as_text(text))
    return found.group(1) if found and (":" not in found.group(1) or as_text(text)[0] == "[") else as_text(text)


def strip_domain(text: Datum) -> str:
    host, colon, port = as_text(text).partition(":")
    if re.fullmatch(r"[0-9.]+", host) or ":" in port:
        return as_text(text)
    return host.split(".", 1)[0] + colon + port


def title(text: Datum) -> str:
    """Go's strings.Title: the first letter of each word, the rest as it is."""
    return re.sub(r"\b\w", lambda first: first.group().upper(), as_text(text))


def _regex(run: Callable[[], Datum]) -> Datum:
    """Rust's regex is RE2's syntax, and like it never takes exponential time."""
    try:
        return run()
    except ComputeError as error:
        raise FunctionFailed(str(error).split("\n\nThis error", 1)[0]) from None


TEXT_FUNCTIONS: dict[str, Callable[..., Datum]] = {
    "title": title,
    "toUpper": lambda text: as_text(text).upper(),
    "toLower": lambda text: as_text(text).lower(),
    "match": match,
    "reReplaceAll": replace_all,
    "stripPort": strip_port,
    "stripDomain": strip_domain,
    "safeHtml": lambda text: SafeHtml(as_text(text)),
}
