"""Deckwatch itself: do the agents send, does the collector follow, do the rules run."""

from __future__ import annotations

from dashboards.grafana.board import ITSELF, OF_SERIES_HOST, Board, hosts, to_host
from dashboards.grafana.panels import GREEN, RATE, RED, YELLOW, Query, Shown, bad_from, graph, number, timeline, warn
from dashboards.grafana.table import Column, figures

H = 'host=~"$host"'
UP = (Shown("1", "up", GREEN), Shown("0", "silent", RED))
TAKEN = (Shown("1", "taken", GREEN), Shown("0", "waiting", YELLOW))


def board() -> Board:
    made = Board(ITSELF, "Deckwatch itself", "The agents, the collector and the rules that watch the rest.", [hosts()])
    for rows in (_now, _agents, _sampling, _intake, _store, _answers, _rules):
        rows(made)
    return made


def _per_s(metric: str, legend: str, by: str = "", scope: str = "") -> Query:
    grouping = f" by ({by}) " if by else ""
    return Query(f"sum{grouping}(rate({metric}{scope}{RATE}))", legend)


def _now(made: Board) -> None:
    made.row(
        "Now",
        number("Agents up", "Those whose samples are fresh.", f"sum(deckwatch_agent_up{{{H}}})", unit="none", width=3),
        number(
            "Agents silent",
            "Nothing came from them for five minutes: what their hosts do is unknown.",
            f"sum(1 - deckwatch_agent_up{{{H}}})",
            unit="none",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Oldest samples",
            "Age of the newest sample of the agent that is furthest behind.",
            f"max(deckwatch_agent_sample_age_seconds{{{H}}})",
            unit="s",
            steps=warn(60, 300),
            width=3,
        ),
        number(
            "Waiting at agents",
            "Complete log lines that no collector holds yet.",
            f"sum(max by (host) (deckwatch_agent_lag_bytes{{{H}}}))",
            unit="bytes",
            steps=warn(16 << 20, 64 << 20),
            width=3,
        ),
        number(
            "Waiting in the collector",
            "Durable, and not searchable yet.",
            "sum(deckwatch_collector_pending_bytes)",
            unit="bytes",
            steps=warn(64 << 20, 256 << 20),
            width=3,
        ),
        number(
            "Writes that failed",
            "Of samples' blocks, of rules' results and of agents' checkpoints, 1 h: is a disk full?",
            "round(sum(increase(deckwatch_history_write_failures_total[1h]))"
            " + (sum(increase(deckwatch_alerting_save_failures_total[1h])) or vector(0))"
            " + (sum(increase(deckwatch_agent_checkpoint_failures_total[1h])) or vector(0)))",
            unit="none",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Series",
            "Of samples in memory: what the collector's memory goes by.",
            "sum(deckwatch_history_series)",
            width=3,
        ),
        number(
            "Rule files",
            "Whether the rules on disk are those in force; a file that can't be read leaves the old ones.",
            "min(deckwatch_alerting_rules_good)",
            unit="none",
            steps=bad_from(2),
            shown=(Shown("1", "in force", GREEN), Shown("0", "broken", RED)),
            width=3,
        ),
    )


def _agents(made: Board) -> None:
    made.row(
        "Agents",
        figures(
            "Agents",
            "One a host. Spool: samples and events on its disk that aren't acknowledged.",
            {"host": "Host"},
            [
                Column("Agent", f"max by (host) (deckwatch_agent_up{{{H}}})", "none", bad_from(2), UP),
                Column(
                    "Newest sample", f"max by (host) (deckwatch_agent_sample_age_seconds{{{H}}})", "s", warn(60, 300)
                ),
                Column(
                    "Last batch", f"min by (host) (deckwatch_agent_collector_up{{{H}}})", "none", bad_from(2), TAKEN
                ),
                Column("Lag", f"max by (host) (deckwatch_agent_lag_bytes{{{H}}})", "bytes", warn(16 << 20, 64 << 20)),
                Column("Spool", f"max by (host) (deckwatch_agent_spool_bytes{{{H}}})", "bytes"),
                Column("Streams", f"max by (host) (deckwatch_agent_streams{{{H}}})", "none"),
                Column(
                    "Retries, 1 h",
                    f"round(sum by (host) (increase(deckwatch_agent_retries_total{{{H}}}[1h])))",
                    "none",
                    warn(10, 100),
                ),
            ],
            worst="Newest sample",
            links={"Host": to_host()},
            height=8,
        ),
        timeline(
            "Agents up",
            "When each was heard of.",
            Query(f"max by (host) (deckwatch_agent_up{{{H}}})", "{{host}}"),
            shown=UP,
        ),
        graph(
            "What they cost",
            "CPU of the daemons' own processes, in cores.",
            Query(
                f'sum by (host, job) (rate(process_cpu_seconds_total{{job=~"deckwatch.*"}}{RATE}))', "{{host}} {{job}}"
            ),
            unit="none",
        ),
        graph(
            "Their memory",
            "Resident memory of the daemons' own processes.",
            Query('max by (host, job) (process_resident_memory_bytes{job=~"deckwatch.*"})', "{{host}} {{job}}"),
            unit="bytes",
        ),
        graph(
            "Read, sent, acknowledged",
            "Raw bytes read and acknowledged, compressed bytes sent; their ratio is the compression.",
            _per_s("deckwatch_agent_read_bytes_total", "{{host}} read", "host", f"{{{H}}}"),
            _per_s("deckwatch_agent_acked_bytes_total", "{{host}} acknowledged", "host", f"{{{H}}}"),
            _per_s("deckwatch_agent_sent_bytes_total", "{{host}} sent, compressed", "host", f"{{{H}}}"),
            unit="Bps",
            link=OF_SERIES_HOST,
        ),
    )


def _sampling(made: Board) -> None:
    made.row(
        "Sampling",
        graph(
            "Looks that failed or were late",
            "Of each source, a second. A late one was over its time and left to itself.",
            Query(
                "sum by (host, source, outcome) (rate(deckwatch_agent_sample_looks_total"
                f'{{{H}, outcome!="done"}}{RATE})) > 0',
                "{{host}} {{source}} {{outcome}}",
            ),
            unit="cps",
        ),
        graph(
            "Time of a look",
            "Of each source, on average.",
            Query(
                f"sum by (source) (rate(deckwatch_agent_sample_look_seconds_total{{{H}}}{RATE}))"
                f" / sum by (source) (rate(deckwatch_agent_sample_looks_total{{{H}}}{RATE}))",
                "{{source}}",
            ),
            unit="s",
        ),
        graph(
            "Targets",
            "Containers, hosts and file systems of the last look, by source.",
            Query(f"sum by (source) (deckwatch_agent_sample_targets{{{H}}})", "{{source}}"),
            unit="none",
        ),
        graph(
            "Samples",
            "Taken into the history a second. Late ones came behind newer ones of their series and are not kept.",
            _per_s("deckwatch_history_samples_total", "{{outcome}}", "outcome"),
            unit="cps",
        ),
    )


def _intake(made: Board) -> None:
    made.row(
        "Intake",
        graph(
            "Batches",
            "Judged a second, and requests refused, by reason: busy and full are back-pressure and lose nothing.",
            _per_s("deckwatch_intake_batches_total", "batches"),
            _per_s("deckwatch_intake_refused_total", "refused: {{error}}", "error"),
            unit="reqps",
        ),
        graph(
            "Streams by outcome",
            "Parts of batches: accepted, or why not (expected: the agent goes back to our position).",
            _per_s("deckwatch_intake_streams_total", "{{outcome}}", "outcome"),
            unit="cps",
        ),
        graph(
            "Bytes",
            "New ones, and those that were here before.",
            _per_s("deckwatch_intake_accepted_bytes_total", "new"),
            _per_s("deckwatch_intake_not_accepted_bytes_total", "here before"),
            unit="Bps",
        ),
        graph(
            "Faults on the way",
            "What a consumer failed over, samples older than known ones, and times in lines that weren't believed.",
            _per_s("deckwatch_collector_samples_not_taken_total", "samples not taken"),
            _per_s("deckwatch_collector_sample_frames_ignored_total", "old frames"),
            _per_s("deckwatch_parse_times_refused_total", "times not believed"),
            _per_s("deckwatch_collector_dead_letters_total", "dead letters"),
            unit="cps",
        ),
    )


def _store(made: Board) -> None:
    made.row(
        "Store",
        graph(
            "Size on disk",
            "Of records (segments) and of samples (blocks).",
            Query("sum(deckwatch_store_segment_bytes)", "records"),
            Query("sum(deckwatch_history_block_bytes)", "samples"),
            Query("sum(deckwatch_store_dead_letter_bytes)", "dead letters"),
            unit="bytes",
        ),
        graph(
            "Files",
            "Segments of records and blocks of samples.",
            Query("sum(deckwatch_store_segments)", "segments"),
            Query("sum(deckwatch_history_blocks)", "blocks"),
            unit="none",
        ),
        graph(
            "Sealings",
            "Times a minute that what is in memory was written as segments.",
            Query(f"sum(rate(deckwatch_store_seals_total{RATE})) * 60", "sealings a minute"),
            unit="none",
        ),
        graph(
            "Longest unread segment",
            "Since the segment that was looked at longest ago was read again; it should stay below the scrub's period.",
            Query("max(deckwatch_store_scrub_age_seconds)", "age"),
            unit="dtdurations",
        ),
    )


def _answers(made: Board) -> None:
    made.row(
        "Questions",
        graph(
            "Searches, slowest",
            "99 of 100 searches were faster, from request to last byte.",
            Query(
                "histogram_quantile(0.99, sum by (endpoint, le)"
                f" (rate(deckwatch_search_duration_seconds_bucket{RATE})))",
                "{{endpoint}}",
            ),
            unit="s",
        ),
        graph(
            "Searches",
            "A second, by what was asked.",
            _per_s("deckwatch_search_duration_seconds_count", "{{endpoint}}", "endpoint"),
            unit="reqps",
        ),
        graph(
            "Records in answers",
            "A second, in answers to searches and to live tails.",
            _per_s("deckwatch_search_records_total", "searches"),
            _per_s("deckwatch_search_tail_records_total", "live tails"),
            unit="cps",
        ),
        graph(
            "Live tails",
            "Open ones, and answers that a fault cut short.",
            Query("sum(deckwatch_search_tails)", "open"),
            Query("sum(increase(deckwatch_search_cut_answers_total[1h]))", "cut answers, 1 h"),
            unit="none",
        ),
    )


def _rules(made: Board) -> None:
    made.row(
        "Rules and notifications",
        graph(
            "Evaluations",
            "Of rules, a second, by how they ended.",
            _per_s("deckwatch_alerting_rule_evaluations_total", "{{outcome}}", "outcome"),
            unit="cps",
        ),
        graph(
            "Time of a group",
            "99 of 100 evaluations of a group of rules were faster, saving included.",
            Query(
                "histogram_quantile(0.99, sum by (le)"
                f" (rate(deckwatch_alerting_group_evaluation_seconds_bucket{RATE})))",
                "p99",
            ),
            unit="s",
        ),
        graph(
            "Missed and failed",
            "Evaluations whose time had passed, those that ended in an error, and results that weren't saved, 1 h.",
            Query("sum(increase(deckwatch_alerting_group_slots_missed_total[1h]))", "missed"),
            Query("sum(increase(deckwatch_alerting_group_failures_total[1h]))", "failed"),
            Query("sum(increase(deckwatch_alerting_save_failures_total[1h]))", "not saved"),
            unit="none",
        ),
        graph(
            "Notifications",
            "Messages by how they ended, 1 h, and those that wait for their receiver.",
            Query(
                "sum by (receiver, outcome) (increase(deckwatch_alerting_notifications_total[1h]))",
                "{{receiver}} {{outcome}}",
            ),
            Query("sum by (receiver) (deckwatch_alerting_outbox_messages)", "{{receiver}} waiting"),
            unit="none",
        ),
    )
