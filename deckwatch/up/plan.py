"""What `deckwatch up` was asked for, and the command lines of its children. Pure."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from deckwatch.runtime.listen import Listen
from deckwatch.runtime.settings_fields import Secret
from deckwatch.runtime.tls import ClientTls


class UpOptions(msgspec.Struct, frozen=True):
    data_dir: Path
    listen: Listen
    logs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    alertmanager_config: Path | None = None
    docker: bool = True
    config: Path | None = None
    insecure: bool = False
    token_file: Path | None = None
    token: Secret | None = None  # what token_file or the environment holds, for asking the children's /metrics
    tls: ClientTls = ClientTls()  # for the same
    log_level: str = "warning"
    own_place: bool = False  # data_dir is not the default one: commands need to be told the address
    command: str = "deckwatch"  # as it can be typed where the user stands
    drain_s: float = 20.0  # for each child, before it is killed


PYTHON = (sys.executable, "-P", "-m", "deckwatch.cli")
"""-P: folders named agent/ or collector/ where the user stands must not be imported."""


def collector_command(options: UpOptions, listen: Listen, python: tuple[str, ...] = PYTHON) -> tuple[str, ...]:
    return (
        *python,
        "collector",
        *("--data-dir", str(options.data_dir / "collector"), "--listen", str(listen)),
        *_each("--rules", options.rules),
        *_each("--webhook", options.webhooks),
        *(("--alertmanager-config", str(options.alertmanager_config)) if options.alertmanager_config else ()),
        *_common(options),
    )


def agent_command(options: UpOptions, collector: str, python: tuple[str, ...] = PYTHON) -> tuple[str, ...]:
    return (
        *python,
        "agent",
        *("--state-dir", str(options.data_dir / "agent"), "--listen", "127.0.0.1:0", "--collector", collector),
        *_each("--logs", options.logs),
        *(() if options.docker else ("--no-docker",)),
        *_common(options),
    )


def _common(options: UpOptions) -> tuple[str, ...]:
    return (
        *(("--config", str(options.config)) if options.config else ()),
        *(("--token-file", str(options.token_file)) if options.token_file else ()),
        *(("--insecure",) if options.insecure else ()),
        *("--log-level", options.log_level),
    )


def _each(option: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, value))
