"""Which collector to ask, and with which token."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec
from yarl import URL

from deckwatch.runtime.datadir import ADDRESS_FILE
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.places import DEFAULT_PORT, state_home
from deckwatch.runtime.reach import daemon_url
from deckwatch.runtime.settings_fields import Secret
from deckwatch.runtime.tls import ClientTls, client_context
from deckwatch.runtime.tokens import read_token

COLLECTOR_VARIABLE = "DECKWATCH_COLLECTOR"


class Target(msgspec.Struct, frozen=True):
    url: URL
    token: Secret | None
    origin: str  # where the address was found, for messages
    tls: ssl.SSLContext | None = None  # of https addresses

    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.reveal()}"}


def find_target(
    collector: str | None, token_file: Path | None, env: Mapping[str, str], tls: ClientTls | None = None
) -> Target:
    """`--collector`, else $DECKWATCH_COLLECTOR, else what `deckwatch up` wrote in its default directory, else the
    default port of this machine. Raises Unusable."""
    target = _find(collector, token_file, env)
    if target.url.scheme != "https":
        return target
    return msgspec.structs.replace(target, tls=client_context(tls or ClientTls()))


def _find(collector: str | None, token_file: Path | None, env: Mapping[str, str]) -> Target:
    token = read_token(token_file, env)
    if collector:
        return Target(_url(collector, "--collector"), token, "--collector")
    if env.get(COLLECTOR_VARIABLE):
        return Target(_url(env[COLLECTOR_VARIABLE], COLLECTOR_VARIABLE), token, COLLECTOR_VARIABLE)
    address = state_home(env) / ADDRESS_FILE
    try:
        return Target(_url(address.read_text().strip(), str(address)), token, str(address))
    except FileNotFoundError:
        return Target(URL(f"http://127.0.0.1:{DEFAULT_PORT}"), token, "the default")
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{address}: can't be read ({error}); name the collector with --collector URL") from None


def _url(text: str, origin: str) -> URL:
    return daemon_url(text, origin, example=f"http://127.0.0.1:{DEFAULT_PORT}")
