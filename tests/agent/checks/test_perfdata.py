"""Performance data as the Monitoring Plugins Guidelines and Nagios' plugin API have it."""

from __future__ import annotations

import math

import pytest

from agent.checks.perfdata import Perfdatum, Range, perfdata_series, read_perfdata, read_range, split_output


@pytest.mark.parametrize(
    ("output", "text", "perfdata"),
    [
        ("DISK OK - free space: / 3326 MB (56%);", "DISK OK - free space: / 3326 MB (56%);", ""),
        ("DISK OK | /=2643MB;5948;5958;0;5968\n", "DISK OK", "/=2643MB;5948;5958;0;5968"),
        (
            "DISK OK | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB (69%); "
            "| /boot=68MB;88;93;0;98\n/home=69357MB\n",
            "DISK OK",
            "/=2643MB;5948;5958;0;5968  /boot=68MB;88;93;0;98 /home=69357MB",
        ),
        ("", "", ""),
    ],
)
def test_what_is_text_and_what_is_data(output: str, text: str, perfdata: str) -> None:
    assert split_output(output) == (text, perfdata)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("users=3", Perfdatum("users", "value", "", 3)),
        ("time=0.25s;1;2;0;10", Perfdatum("time", "seconds", "", 0.25, (Range(0, 1), Range(0, 2)), 0, 10)),
        ("rta=250ms;1000", Perfdatum("rta", "seconds", "", 0.25, (Range(0, 1), None))),
        ("t=1500us", Perfdatum("t", "seconds", "", 0.0015)),
        ("'/var lib'=2KB", Perfdatum("/var lib", "bytes", "", 2048)),
        ("/=1.5MiB", Perfdatum("/", "bytes", "", 1572864)),
        ("'it''s'=50%;80;90;0;100", Perfdatum("it's", "ratio", "", 0.5, (Range(0, 0.8), Range(0, 0.9)), 0, 1)),
        ("packets=17c", Perfdatum("packets", "total", "", 17)),
        ("volts=3.3V", Perfdatum("volts", "value", "V", 3.3)),
        ("x=U;1;2", Perfdatum("x", "value", "", None)),
        ("x=-1e-3;;;", Perfdatum("x", "value", "", -0.001)),
        ("swap=0B;@10:20;~:5", Perfdatum("swap", "bytes", "", 0, (Range(10, 20, True), Range(-math.inf, 5)))),
    ],
)
def test_data(text: str, want: Perfdatum) -> None:
    [found], bad = read_perfdata(text)
    assert bad == []
    assert found.value == pytest.approx(want.value)
    assert (found.label, found.quantity, found.unit, found.low, found.high) == (
        want.label, want.quantity, want.unit, want.low, want.high,
    )  # fmt: skip
    assert found.thresholds == want.thresholds


def test_the_readable_is_read_whatever_stands_beside_it() -> None:
    found, bad = read_perfdata("a=1 nonsense b=x;1 'c d'=3 e=4;1;z")
    assert [datum.label for datum in found] == ["a", "c d"]
    assert bad == ["nonsense", "b=x;1", "e=4;1;z"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", None),
        ("10", Range(0, 10)),
        ("10:", Range(10, math.inf)),
        ("~:10", Range(-math.inf, 10)),
        ("10:20", Range(10, 20)),
        ("@10:20", Range(10, 20, True)),
        ("-5:5", Range(-5, 5)),
    ],
)
def test_ranges(text: str, want: Range | None) -> None:
    assert read_range(text) == want


def test_series() -> None:
    [datum], _ = read_perfdata("rta=2ms;1:5;@~:9;0")
    found = {
        column.name + "".join(f" {k}={v}" for k, v in column.labels): value for column, value in perfdata_series(datum)
    }
    assert found == pytest.approx(
        {
            "nagios_perfdata_seconds label=rta": 0.002,
            "nagios_perfdata_seconds_min label=rta": 0,
            "nagios_perfdata_seconds_threshold bound=lower label=rta level=warning": 0.001,
            "nagios_perfdata_seconds_threshold bound=upper label=rta level=warning": 0.005,
            "nagios_perfdata_seconds_threshold bound=upper inside=true label=rta level=critical": 0.009,
        }
    )
