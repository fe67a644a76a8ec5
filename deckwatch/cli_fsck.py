"""`deckwatch fsck`: what a stopped collector keeps, checked byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from deckwatch import cli_daemon
from deckwatch.runtime.settings import load_all

_SIGNS = {"note": "  ", "mended": "+ ", "wrong": "! "}


@click.command(short_help="Check what a stopped collector keeps; repair what can be.")
@click.option("--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="The collector's data directory.")
@cli_daemon.CONFIG
@click.option(
    "--repair",
    is_flag=True,
    help="Make damaged indexes anew from sound data, set damaged segments aside (their lines become gaps), move what"
    " belongs nowhere to lost+found. Deletes nothing.",
)
@click.option("--adopt", is_flag=True, help="Segments that were set aside and are sound again serve; their gaps close.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def fsck(data_dir: Path | None, config: Path | None, repair: bool, adopt: bool, as_json: bool) -> int:
    """Check what a stopped collector keeps: manifest, journal, every byte of every segment, alert state.

    Exit code 0: nothing is wrong (any more). 1: something is. 2: it could not be checked, a collector runs on it.
    """
    from collector.settings import CollectorSettings

    overrides = cli_daemon.given({"collector.data_dir": data_dir})
    loaded = load_all({"collector": CollectorSettings}, file=config, env=os.environ, overrides=overrides)
    settings = loaded.of(CollectorSettings)
    # polars and pyarrow: not before the settings are known to be good
    from collector.app import DATA_VERSION, data_folder
    from collector.fsck.app import check
    from deckwatch.runtime.clock import SystemClock

    report = check(data_folder(settings, os.environ), DATA_VERSION, SystemClock(), repair=repair, adopt=adopt)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return report.exit_code
    for finding in report.findings:
        click.echo(f"{_SIGNS[finding.severity.value]}{finding.where}: {finding.what}")
        if finding.mend:
            click.echo(f"    {finding.mend}")
    counted = ", ".join(f"{count} {what}" for what, count in report.checked.items())
    verdict = "something is wrong" if report.exit_code else "all is well"
    click.echo(f"{verdict}: checked {counted or 'nothing: there is nothing yet'}")
    return report.exit_code
