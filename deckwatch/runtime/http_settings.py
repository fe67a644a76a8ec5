"""How another server is spoken to; the names are Prometheus' (`http_config`). Secrets stand in files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class BasicAuth(msgspec.Struct, frozen=True):
    username: Annotated[str, Meta(description="Name of the user.")]
    password_file: Annotated[Path, Meta(description="File with the password, read anew for each request.")]


class Authorization(msgspec.Struct, frozen=True):
    credentials_file: Annotated[Path, Meta(description="File with the token, read anew for each request.")]
    type: Annotated[str, Meta(description="Word before the token.", min_length=1)] = "Bearer"


class TlsConfig(msgspec.Struct, frozen=True):
    ca_file: Annotated[Path | None, Meta(description="Authorities (PEM) to trust; unset: the system's.")] = None
    cert_file: Annotated[Path | None, Meta(description="Client certificate chain (PEM).")] = None
    key_file: Annotated[Path | None, Meta(description="Its private key (PEM).")] = None
    server_name: Annotated[str, Meta(description="Name that the certificate must have; empty: that of the URL.")] = ""
    insecure_skip_verify: Annotated[bool, Meta(description="Take any certificate.")] = False


class HttpClientSettings(msgspec.Struct, frozen=True):
    """Of targets, Consul, Kubernetes, probes, and of receivers and sources of samples alike."""

    basic_auth: Annotated[BasicAuth | None, Meta(description="User and password.")] = None
    authorization: Annotated[Authorization | None, Meta(description="A token.")] = None
    tls_config: Annotated[TlsConfig, Meta(description="TLS towards the server.")] = TlsConfig()
    follow_redirects: Annotated[bool, Meta(description="Go where a 3xx answer points, at most ten times.")] = True

    def __post_init__(self) -> None:
        if self.basic_auth and self.authorization:
            raise ValueError("basic_auth and authorization exclude each other")
