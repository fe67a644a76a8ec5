"""The `deckwatch` command. Each subcommand is imported when it is called: help answers at once, and an agent host
needs nothing of the collector's."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence

import click

from deckwatch.runtime.faults import MESSAGE_PREFIX, Fault, Unusable

COMMANDS = {
    "up": ("deckwatch.cli_up:up", "Watch this machine: collector, agent and alerts in one go."),
    "agent": ("deckwatch.cli_agent:agent", "Ship this host's logs and metrics to a collector."),
    "collector": ("deckwatch.cli_collector:collector", "Take, keep and answer for what agents ship; alert on it."),
    "logs": ("deckwatch.cli_logs:logs", "Search and follow logs."),
    "gaps": ("deckwatch.cli_gaps:gaps", "Which lines were lost, and why."),
    "verify": ("deckwatch.cli_verify:verify", "Prove that every line is there, or name each gap."),
    "rules": ("deckwatch.cli_rules:rules", "Check rule files; run their unit tests."),
    "incidents": ("deckwatch.cli_incidents:incidents", "What is wrong, who has it, what was done about it."),
    "ack": ("deckwatch.cli_ack:ack", "Acknowledge an incident: I have it."),
    "oncall": ("deckwatch.cli_oncall:oncall", "Who is on call; shifts, overrides, calendars."),
    "alerts": ("deckwatch.cli_alerts:alerts", "Alerts that fire."),
    "silence": ("deckwatch.cli_silence:silence", "Silence alerts for a while: add, list, expire."),
    "why": ("deckwatch.cli_alerts:why", "Why somebody is told of an alert, or isn't."),
    "query": ("deckwatch.cli_query:query", "Ask for metrics in PromQL: a table, a plot."),
    "top": ("deckwatch.cli_top:top", "Containers and what they use, live."),
    "deadletter": ("deckwatch.cli_deadletter:deadletter", "What could not be taken: list, show, try again, delete."),
    "fsck": ("deckwatch.cli_fsck:fsck", "Check what a stopped collector keeps; repair what can be."),
    "backup": ("deckwatch.cli_backup:backup", "Copy what a collector keeps, also while it runs."),
    "dashboards": ("deckwatch.cli_dashboards:dashboards", "Dashboards for Grafana, with its provisioning files."),
    "config": ("deckwatch.cli_config:config", "Show every option; check a configuration file."),
    "version": ("deckwatch.cli_config:version", "Print the version."),
}
"""Where each subcommand stands, and its line in the help."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            raise _missing(cmd_name, error) from error
        assert isinstance(found, click.Command)  # noqa: S101 - the table above is ours
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def deckwatch() -> None:
    """Deckwatch watches containers: every line they write, every number their cgroups keep, and what to do about it."""


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0; 1 where it failed; 2 where it was called or configured wrongly; 130 after Ctrl-C.

    A foreseen fault is one message on stderr; a traceback is always a bug of ours.
    """
    try:
        result = deckwatch.main(list(arguments), prog_name="deckwatch", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # `deckwatch logs | head`: nobody reads any more, nor would the last flush find anybody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Fault as fault:
        return _tell([fault])
    except BaseExceptionGroup as group:
        faults = list(_leaves(group))
        if not all(isinstance(fault, Fault) for fault in faults):
            raise
        return _tell(faults)
    return result if isinstance(result, int) else 0


def _tell(faults: Sequence[BaseException]) -> int:
    for fault in faults:
        click.echo(f"{MESSAGE_PREFIX}{fault}", err=True)
    return 2 if any(isinstance(fault, Unusable) for fault in faults) else 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _missing(command: str, error: ModuleNotFoundError) -> Exception:
    """A package of the collector that an agent host rightly lacks; one of our own modules would be a bug."""
    ours = ("deckwatch", "agent", "collector", "alerting", "dashboards")
    if error.name is None or error.name.partition(".")[0] in ours:
        return error
    return Unusable(f"`deckwatch {command}` needs the package {error.name}: pip install 'deckwatch[collector]'")


if __name__ == "__main__":
    main()
