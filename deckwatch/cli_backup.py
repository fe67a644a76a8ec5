"""`deckwatch backup`: a copy of a collector's data directory, also while the collector runs."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from deckwatch import cli_daemon
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.settings import load_all

_PATH = click.Path(path_type=Path)


@click.command(short_help="Copy what a collector keeps, also while it runs.")
@click.argument("target", metavar="DIR", type=_PATH)
@click.option("--data-dir", metavar="DIR", type=_PATH, help="The collector's data directory.")
@cli_daemon.CONFIG
@click.option("--copy", is_flag=True, help="Copy segments even where hard links would do.")
@click.option("--json", "as_json", is_flag=True, help="What was copied, as JSON.")
def backup(target: Path, data_dir: Path | None, config: Path | None, copy: bool, as_json: bool) -> None:
    """Copy what a collector keeps into DIR, which must be new or empty. The collector may run meanwhile.

    Segments are hard links where DIR is on the same file system. To restore, stop the collector, put a copy of DIR in
    place of its data directory and start it: agents compare their positions with it and send what it lacks.
    """
    from collector.settings import CollectorSettings

    overrides = cli_daemon.given({"collector.data_dir": data_dir})
    loaded = load_all({"collector": CollectorSettings}, file=config, env=os.environ, overrides=overrides)
    # polars and pyarrow: not before the settings are known to be good
    from collector.app import data_folder
    from collector.backup import backup as make

    try:
        copied = make(data_folder(loaded.of(CollectorSettings), os.environ), target, link=not copy)
    except OSError as error:
        raise Retry(f"{target}: the backup is not complete: {error}; remove it and try again") from error
    if as_json:
        click.echo(msgspec.json.encode(copied).decode())
        return
    click.echo(
        f"{target}: {copied.segments} segments with {copied.records} records, {copied.journal_files} journal files;"
        f" {copied.copied_bytes >> 20} MiB copied, {copied.linked_bytes >> 20} MiB linked"
    )
