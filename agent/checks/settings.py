"""Checks and probes: what is run or asked at an interval, and what counts as success."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from deckwatch.runtime.http_settings import HttpClientSettings, TlsConfig

Labels = Annotated[dict[str, str], Meta(description="Further labels of its series.")]
Interval = Annotated[float, Meta(description="Between two runs.", ge=1, le=86_400)]
Timeout = Annotated[float, Meta(description="Most time of one run; then it has failed.", gt=0)]
RecordName = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "ANY"]


class NagiosSettings(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Label `check` of its series.", min_length=1)]
    command: Annotated[
        str, Meta(description="Program and arguments, quoted as for a shell, but no shell runs it.", min_length=1)
    ]
    interval_s: Interval = 60.0
    timeout_s: Timeout = 30.0
    labels: Labels = {}


class HttpProbe(HttpClientSettings, frozen=True, kw_only=True):
    url: Annotated[str, Meta(description="Label `instance` of its series.", pattern="^https?://")]
    method: Annotated[Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"], Meta(description="How it is asked.")] = "GET"
    headers: Annotated[dict[str, str], Meta(description="Sent with the request.")] = msgspec.field(default_factory=dict)
    body: Annotated[str, Meta(description="Sent with the request.")] = ""
    valid_status_codes: Annotated[tuple[int, ...], Meta(description="Empty: 200 to 299.")] = ()
    fail_if_ssl: Annotated[bool, Meta(description="Fails if the answer came over TLS.")] = False
    fail_if_not_ssl: Annotated[bool, Meta(description="Fails if the answer came without TLS.")] = False
    fail_if_body_matches_regexp: Annotated[
        tuple[str, ...], Meta(description="Fails if one of them is found in the body.")
    ] = ()
    fail_if_body_not_matches_regexp: Annotated[
        tuple[str, ...], Meta(description="Fails if one of them is not found in the body.")
    ] = ()
    body_limit_bytes: Annotated[int, Meta(description="Read of the body at most; a larger one fails.", ge=1)] = 10 << 20
    interval_s: Interval = 30.0
    timeout_s: Timeout = 10.0
    labels: Labels = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for pattern in (*self.fail_if_body_matches_regexp, *self.fail_if_body_not_matches_regexp):
            check_pattern(pattern)


class TcpProbe(msgspec.Struct, frozen=True, kw_only=True):
    target: Annotated[str, Meta(description="HOST:PORT; label `instance` of its series.", pattern=r"^.+:\d+$")]
    tls: Annotated[bool, Meta(description="Speak TLS, and tell when the certificate expires.")] = False
    tls_config: Annotated[TlsConfig, Meta(description="TLS towards the server.")] = TlsConfig()
    send: Annotated[str, Meta(description="Sent once connected; write a line end as \\r\\n in double quotes.")] = ""
    expect: Annotated[str, Meta(description="Regular expression that must be found in a line of the answer.")] = ""
    interval_s: Interval = 30.0
    timeout_s: Timeout = 10.0
    labels: Labels = {}

    def __post_init__(self) -> None:
        check_pattern(self.expect)


class DnsProbe(msgspec.Struct, frozen=True, kw_only=True):
    server: Annotated[str, Meta(description="HOST or HOST:PORT asked; label `instance`.", min_length=1)]
    query_name: Annotated[str, Meta(description="Name asked for.", min_length=1)]
    query_type: Annotated[RecordName, Meta(description="Kind of record asked for.")] = "A"
    transport_protocol: Annotated[Literal["udp", "tcp"], Meta(description="UDP goes on to TCP by itself.")] = "udp"
    recursion_desired: Annotated[bool, Meta(description="Ask the server to ask others.")] = True
    valid_rcodes: Annotated[tuple[str, ...], Meta(description="Answers that are a success.")] = ("NOERROR",)
    fail_if_none_matches_regexp: Annotated[
        tuple[str, ...],
        Meta(description="Each must be found in an answer record, written as in a zone file: `www.x. 300 A 10.0.0.1`."),
    ] = ()
    interval_s: Interval = 30.0
    timeout_s: Timeout = 5.0
    labels: Labels = {}

    def __post_init__(self) -> None:
        for pattern in self.fail_if_none_matches_regexp:
            check_pattern(pattern)


class CheckSettings(msgspec.Struct, frozen=True):
    nagios: Annotated[tuple[NagiosSettings, ...], Meta(description="Nagios plugins.")] = ()
    http: Annotated[tuple[HttpProbe, ...], Meta(description="Web pages and APIs.")] = ()
    tcp: Annotated[tuple[TcpProbe, ...], Meta(description="Ports, with TLS or without.")] = ()
    dns: Annotated[tuple[DnsProbe, ...], Meta(description="DNS servers.")] = ()
    tenant: Annotated[str, Meta(description="Tenant that the samples belong to.", min_length=1)] = "default"

    def __post_init__(self) -> None:
        names = [check.name for check in self.nagios]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"nagios: name {twice[0]!r} is there twice")


def check_pattern(pattern: str) -> None:
    """Raises ValueError."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
