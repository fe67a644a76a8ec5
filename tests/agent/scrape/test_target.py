"""From discovered labels to targets, as Prometheus' PopulateLabels has it."""

from __future__ import annotations

import msgspec
import pytest

from agent.scrape.loop import slot_wait_s
from agent.scrape.settings import JobSettings, ScrapeSettings
from agent.scrape.target import IDENTITY, Found, Target, job_defaults, make_target
from deckwatch.runtime.durations import duration_s, size_bytes
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.relabel_settings import RelabelSettings

SETTINGS = ScrapeSettings()


def job(**options: object) -> JobSettings:
    return msgspec.convert({"job_name": "j", **options}, JobSettings, dec_hook=lambda kind, value: kind(value))


def target(found: dict[str, str], **options: object) -> Target | None:
    one = job(**options)
    return make_target(Found.of(found), one, job_defaults(one, SETTINGS))


def made(found: dict[str, str], **options: object) -> Target:
    one = target(found, **options)
    assert one is not None
    return one


@pytest.mark.parametrize(
    ("found", "options", "url", "labels"),
    [
        ({"__address__": "h:9100"}, {}, "http://h:9100/metrics", {"instance": "h:9100", "job": "j"}),
        (
            {"__address__": "h:9100", "env": "prod", "__meta_x": "1", "__tmp": "2"},
            {"metrics_path": "/m", "scheme": "https"},
            "https://h:9100/m",
            {"env": "prod", "instance": "h:9100", "job": "j"},
        ),
        (
            {"__address__": "h:1", "__metrics_path__": "own", "__scheme__": "https", "job": "own", "instance": "i"},
            {},
            "https://h:1/own",
            {"instance": "i", "job": "own"},
        ),
        (
            {"__address__": "h:1"},
            {"params": {"module": ["a b"], "m": ["1", "2"]}},
            "http://h:1/metrics?m=1&m=2&module=a+b",
            {"instance": "h:1", "job": "j"},
        ),
        (
            {"__address__": "http://example.org"},
            {
                "params": {"module": ["http_2xx"]},
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
                ],
            },
            "http://127.0.0.1:9115/metrics?module=http_2xx&target=http%3A%2F%2Fexample.org",
            {"instance": "http://example.org", "job": "j"},
        ),
    ],
)
def test_targets(found: dict[str, str], options: dict[str, object], url: str, labels: dict[str, str]) -> None:
    one = made(found, **options)
    assert (one.url, dict(one.labels)) == (url, labels)


def test_identity_labels_give_way() -> None:
    one = made({"__address__": "h:1", IDENTITY + "name": "web", IDENTITY + "image": "nginx", "image": "own"})
    assert one.soft == (("name", "web"),)
    assert ("image", "own") in one.labels


def test_times() -> None:
    defaults = made({"__address__": "h:1"})
    assert (defaults.interval_s, defaults.timeout_s) == (15, 10)
    short = made({"__address__": "h:1"}, scrape_interval="5s")
    assert (short.interval_s, short.timeout_s) == (5, 5)
    own = made({"__address__": "h:1", "__scrape_interval__": "1m", "__scrape_timeout__": "20s"})
    assert (own.interval_s, own.timeout_s) == (60, 20)


def test_a_dropped_target_is_none() -> None:
    drop = msgspec.to_builtins(RelabelSettings(action="drop", source_labels=("__address__",), regex="h:1"))
    assert target({"__address__": "h:1"}, relabel_configs=[drop]) is None


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "no address"),
        ({"__address__": "h:1/metrics"}, "is no HOST:PORT"),
        ({"__address__": "a@h:1"}, "is no HOST:PORT"),
        ({"__address__": "h:1", "__scheme__": "ftp"}, "scheme 'ftp'"),
        ({"__address__": "h:1", "__scrape_interval__": "fast"}, "'fast' is no duration"),
        ({"__address__": "h:1", "__scrape_timeout__": "2m"}, "doesn't fit an interval"),
    ],
)
def test_what_makes_no_target(found: dict[str, str], says: str) -> None:
    with pytest.raises(Reject, match=says):
        target(found)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"honor_timestamps": True}, "honor_timestamps"),
        ({"scrape_interval": "5s", "scrape_timeout": "6s"}, "greater than scrape_interval"),
        ({"scrape_interval": "5"}, "matching regex"),
        ({"scrape_interval": "0s"}, "scrape_interval is 0"),
        (
            {"basic_auth": {"username": "a", "password_file": "p"}, "authorization": {"credentials_file": "t"}},
            "exclude each other",
        ),
        ({"dns_sd_configs": [{"names": ["a"], "type": "A"}]}, "needs a port"),
    ],
)
def test_jobs_that_can_not_be(options: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        job(**options)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m", 60), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400), ("0", 0), ("2w1d", 1296000)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "-1s", "1s1m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration_s(text)


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("10MB", 10 << 20), ("1.5KiB", 1536), ("7B", 7), ("2G", 2 << 30)])
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


def test_slots_are_spread_and_kept() -> None:
    keys = [made({"__address__": f"h{number}:1"}).key for number in range(200)]
    now_ns = 1_700_000_003_000_000_000
    waits = [slot_wait_s(key, 15, now_ns) for key in keys]
    assert all(0 <= wait < 15 for wait in waits)
    assert all(any(low <= wait < low + 1 for wait in waits) for low in range(15))
    assert slot_wait_s(keys[0], 15, now_ns + 15_000_000_000 * 7) == waits[0]
