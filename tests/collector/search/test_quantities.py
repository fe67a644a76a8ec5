from __future__ import annotations

import pytest

from collector.search.quantities import Measure, Unit, measure_of, network_of, quantity, unit_of_name, version_key

DURATION, SIZE, SHARE = Measure.DURATION, Measure.SIZE, Measure.SHARE


@pytest.mark.parametrize(
    ("bound", "measure"),
    [
        ("10", Measure.NUMBER),
        ("-1.5e3", Measure.NUMBER),
        (".5", Measure.NUMBER),
        ("2026", Measure.NUMBER),
        ("10s", DURATION),
        ("1m30s", DURATION),
        ("1h 5m", DURATION),
        ("-3ms", DURATION),
        ("5µs", DURATION),
        ("5μs", DURATION),
        ("10kb", SIZE),
        ("10 KiB", SIZE),
        ("512B", SIZE),
        ("512Mi", SIZE),
        ("4G", SIZE),
        ("7bytes", SIZE),
        ("99.5%", SHARE),
        ("2026-01-31", Measure.TIME),
        ("2026-01-31T12:00:00Z", Measure.TIME),
        ("10.0.0.1", Measure.ADDRESS),
        ("2001:db8::1", Measure.ADDRESS),
        ("1.10.2", Measure.VERSION),
        ("v2", Measure.VERSION),
        ("2.0.0-rc.1+build5", Measure.VERSION),
        ("abc", Measure.TEXT),
        ("10x", Measure.TEXT),
        ("s", Measure.TEXT),
        ("", Measure.TEXT),
        ("2026-13-01", Measure.TEXT),
        ("10k", Measure.TEXT),  # ten thousand of what?
        ("1s2", Measure.TEXT),
    ],
)
def test_what_a_bound_is(bound: str, measure: Measure) -> None:
    assert measure_of(bound) is measure


@pytest.mark.parametrize(
    ("text", "measure", "value"),
    [
        ("1m30s", DURATION, 90.0),
        ("-1.5h", DURATION, -5400.0),
        ("1d 2h", DURATION, 93600.0),
        ("250us", DURATION, 0.00025),
        ("2w", DURATION, 1_209_600.0),
        ("10kB", SIZE, 10_000.0),
        ("10KB", SIZE, 10_000.0),
        ("1.5MiB", SIZE, 1_572_864.0),
        ("2G", SIZE, 2e9),
        ("1gib", SIZE, 1_073_741_824.0),
        ("5b", SIZE, 5.0),
        ("12.5 %", SHARE, 12.5),
        ("10", DURATION, None),
        ("10s", SIZE, None),
        ("10s", Measure.NUMBER, None),
    ],
)
def test_quantity(text: str, measure: Measure, value: float | None) -> None:
    found = quantity(text, measure)
    assert found is None if value is None else found == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("took_ms", Unit(DURATION, 1e-3)),
        ("durationMs", Unit(DURATION, 1e-3)),
        ("http.latency_seconds", Unit(DURATION, 1.0)),
        ("seconds", Unit(DURATION, 1.0)),
        ("responseTimeMillis", Unit(DURATION, 1e-3)),
        ("event.duration", Unit(DURATION, 1e-9)),
        ("body.event.duration", Unit(DURATION, 1e-9)),
        ("http.response.bytes", Unit(SIZE, 1.0)),
        ("bytes", Unit(SIZE, 1.0)),
        ("mem_kib", Unit(SIZE, 1024.0)),
        ("cpu_percent", Unit(SHARE, 1.0)),
        ("system.cpu.pct", Unit(SHARE, 100.0)),
        ("ns", None),  # a namespace
        ("s", None),
        ("duration", None),
        ("items", None),
        ("", None),
    ],
)
def test_the_unit_that_a_name_tells(field: str, unit: Unit | None) -> None:
    assert unit_of_name(field) == unit


def test_versions_are_in_the_order_of_semver() -> None:
    """The order of https://semver.org/#spec-item-11, and what stands around it."""
    ordered = (
        "0.9 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 v1.0.1 1.9 1.10"
    )
    keys = [version_key(text) for text in ordered.split()]
    assert None not in keys
    assert keys == sorted(keys, key=lambda key: key or ((), 0, ()))
    assert len(set(keys)) == len(keys)
    assert version_key("1.0") == version_key("v1.0.0+build") == version_key("1")


@pytest.mark.parametrize("text", ["", "latest", "1.x", "1..2", "-1.0", "1" * 200])
def test_what_is_no_version(text: str) -> None:
    assert version_key(text) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("10.0.0.1", None),
        ("/8", None),
        ("10.0.0.0/40", None),
        ("api/v1", None),
        ("1/2", None),
    ],
)
def test_network(text: str, network: str | None) -> None:
    found = network_of(text)
    assert (None if found is None else str(found)) == network
