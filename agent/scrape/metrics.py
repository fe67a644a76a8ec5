"""Metrics of scraping itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ScrapeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.scrapes = Counter(
            "deckwatch_agent_scrapes_total",
            "Scrapes by how they ended: ok, or what went wrong (timeout, unreachable, status, too_large, malformed, "
            "limit, unexpected).",
            ["job", "outcome"],
            registry=registry,
        )
        self.skipped = Counter(
            "deckwatch_agent_scrapes_skipped_total", "Scrapes left out because the one before was late.", ["job"],
            registry=registry,
        )  # fmt: skip
        self.duplicates = Counter(
            "deckwatch_agent_scrape_duplicates_total",
            "Samples of a series that had come in the same answer; the first counts.",
            ["job"],
            registry=registry,
        )
        self.targets = Gauge("deckwatch_agent_scrape_targets", "Targets that are scraped.", ["job"], registry=registry)
        self.left_out = Gauge(
            "deckwatch_agent_scrape_targets_left_out",
            "Targets that are not scraped: beyond a limit, or no address can be made of them.",
            ["job", "reason"],
            registry=registry,
        )
        self.series = Gauge("deckwatch_agent_scrape_series", "Series of all targets.", registry=registry)
        self.discoveries = Counter(
            "deckwatch_agent_scrape_discovery_faults_total",
            "Looks for targets that failed; those known before are kept.",
            ["job", "discovery"],
            registry=registry,
        )
