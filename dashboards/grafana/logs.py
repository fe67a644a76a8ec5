"""Logs: how much comes, does all of it arrive, and the account of every byte."""

from __future__ import annotations

from dashboards.grafana.board import LOGS, OF_SERIES_HOST, Board, hosts, to_container, to_host
from dashboards.grafana.panels import RATE, Query, bad_from, graph, number, warn
from dashboards.grafana.table import Column, figures

H = 'host=~"$host"'


def board() -> Board:
    made = Board(
        LOGS,
        "Logs and completeness",
        "Every byte of every log: admitted, stored, dropped by retention, or a declared gap. Nothing else may be.",
        [hosts()],
    )
    for rows in (_now, _losses, _flow, _accounts):
        rows(made)
    return made


def _now(made: Board) -> None:
    made.row(
        "Is everything there",
        number(
            "Unaccounted bytes",
            "Bytes that nobody holds and nobody declared. It must be 0; `deckwatch verify` names them.",
            f"sum(deckwatch_log_unaccounted_bytes{{{H}}})",
            unit="bytes",
            steps=bad_from(1),
        ),
        number(
            "Bytes in gaps",
            "Declared losses that are remembered: `deckwatch gaps` lists them with the reason of each.",
            f"sum(deckwatch_log_lost_bytes{{{H}}})",
            unit="bytes",
            steps=bad_from(1),
        ),
        number(
            "Gaps, 24 h",
            "Gaps whose declaration came within a day.",
            f"count(deckwatch_log_gap_age_seconds{{{H}}} < 86400) or vector(0)",
            steps=bad_from(1),
        ),
        number(
            "Dead letters",
            "Lines that could not be taken for what they claimed to be; kept, and shown by `deckwatch deadletter`.",
            "sum(deckwatch_dead_letters_kept) or vector(0)",
            steps=warn(1, 1000),
        ),
        number(
            "Waiting at agents",
            "Complete lines in watched files that no collector holds yet.",
            f"sum(max by (host) (deckwatch_agent_lag_bytes{{{H}}}))",
            unit="bytes",
            steps=warn(16 << 20, 64 << 20),
        ),
        number(
            "Waiting to be searchable",
            "Bytes that the collector holds durably and hasn't parsed yet.",
            "sum(deckwatch_collector_pending_bytes)",
            unit="bytes",
            steps=warn(64 << 20, 256 << 20),
        ),
    )


def _losses(made: Board) -> None:
    by = "host, container, reason"
    made.row(
        "Losses",
        figures(
            "Gaps",
            "Of each log and reason. Bytes are those whose number is known: where a whole file went unseen it isn't.",
            {"container": "Container", "host": "Host", "reason": "Reason"},
            [
                Column("Gaps", f"max by ({by}) (deckwatch_log_gaps{{{H}}})", "none"),
                Column("Bytes", f"max by ({by}) (deckwatch_log_gap_bytes{{{H}}})", "bytes"),
                Column("Newest", f"min by ({by}) (deckwatch_log_gap_age_seconds{{{H}}})", "dtdurations"),
            ],
            worst="Bytes",
            links={"Container": to_container(), "Host": to_host()},
            none="No gap: every line is accounted for.",
            width=12,
            height=8,
        ),
        graph(
            "Gaps by reason",
            "Declared within the hour before each moment.",
            Query("sum by (reason) (increase(deckwatch_collector_gaps_total[1h]))", "{{reason}}"),
            unit="none",
        ),
        graph(
            "Dead letters",
            "Kept now, and how many came within the hour before each moment.",
            Query("sum(deckwatch_dead_letters_kept) or vector(0)", "kept"),
            Query("sum(increase(deckwatch_collector_dead_letters_total[1h]))", "came, 1 h"),
            unit="none",
        ),
        graph(
            "Damage",
            "Records in segments that were set aside since they are not what was written, and files that the daily"
            " reading found wrong.",
            Query("sum(deckwatch_store_damaged_records)", "records set aside"),
            Query("sum(deckwatch_store_damaged_segments)", "segments set aside"),
            unit="none",
        ),
    )


def _flow(made: Board) -> None:
    made.row(
        "Flow",
        graph(
            "Records",
            "Made searchable a second.",
            Query(f"sum(rate(deckwatch_collector_records_total{RATE}))", "records"),
            unit="cps",
        ),
        graph(
            "Bytes",
            "Taken by the collector, each once; repeated are those that it had already (after a lost answer).",
            Query(f"sum(rate(deckwatch_intake_accepted_bytes_total{RATE}))", "taken"),
            Query(f"sum(rate(deckwatch_intake_not_accepted_bytes_total{RATE}))", "repeated"),
            unit="Bps",
        ),
        graph(
            "Loudest logs",
            "Bytes a second of the ten that write most. A log that grows tenfold is often an incident's first sign.",
            Query(
                f"topk(10, sum by (host, container) (clamp_min(deriv(deckwatch_log_admitted_bytes{{{H}}}[5m]), 0)))",
                "{{host}} {{container}}",
            ),
            unit="Bps",
        ),
        graph(
            "Records of logs",
            "Records a second of the ten that write most.",
            Query(
                f"topk(10, sum by (host, container) (clamp_min(deriv(deckwatch_log_records{{{H}}}[5m]), 0)))",
                "{{host}} {{container}}",
            ),
            unit="cps",
        ),
        graph(
            "Waiting at agents",
            "Complete lines that no collector holds yet. It falls by itself when the collector is back.",
            Query(f"max by (host) (deckwatch_agent_lag_bytes{{{H}}})", "{{host}}"),
            unit="bytes",
            link=OF_SERIES_HOST,
        ),
        graph(
            "Waiting in the collector",
            "Durable in its journal, and not searchable yet.",
            Query("sum(deckwatch_collector_pending_bytes)", "pending"),
            unit="bytes",
        ),
    )


def _accounts(made: Board) -> None:
    by = "host, container"

    def each(name: str) -> str:
        return f"sum by ({by}) (deckwatch_log_{name}{{{H}}})"

    made.row(
        "Accounts",
        figures(
            "The account of each log",
            "Admitted = stored + open + dead letters + dropped by retention + unaccounted (0). Settled once a minute.",
            {"container": "Log", "host": "Host"},
            [
                Column("Unaccounted", each("unaccounted_bytes"), "bytes", bad_from(1)),
                Column("Lost", each("lost_bytes"), "bytes", bad_from(1)),
                Column("Admitted", each("admitted_bytes"), "bytes"),
                Column("Stored", each("stored_bytes"), "bytes"),
                Column("Open", each("open_bytes"), "bytes"),
                Column("Dead letters", each("dead_letter_bytes"), "bytes", warn(1, 1 << 20)),
                Column("Dropped", each("dropped_bytes"), "bytes"),
                Column("Records", each("records"), "short"),
            ],
            worst="Admitted",
            links={"Log": to_container(name="${__data.fields.Log}"), "Host": to_host()},
        ),
    )
