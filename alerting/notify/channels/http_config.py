"""`http_config` of Alertmanager's file (prometheus/common, config.HTTPClientConfig): how a channel speaks HTTP."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import msgspec

from alerting.notify.channels.fields import Url
from deckwatch.runtime.settings_fields import Secret

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_HEADERS_OF_OURS = {"authorization", "content-type", "content-length", "host", "idempotency-key", "user-agent"}


class TlsConfig(msgspec.Struct, frozen=True):
    """`ca`, `cert` and `key` are PEM texts, the others files."""

    ca: str = ""
    ca_file: Path | None = None
    cert: str = ""
    cert_file: Path | None = None
    key: Secret | None = None
    key_file: Path | None = None
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = "TLS12"
    max_version: str = ""

    def __post_init__(self) -> None:
        if self.ca and self.ca_file:
            raise ValueError("give either ca or ca_file, not both")
        if self.cert or self.key:
            raise ValueError("cert and key in the configuration are not supported: give cert_file and key_file")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file are given together")
        for name, version in (("min_version", self.min_version), ("max_version", self.max_version)):
            if version and version not in _VERSIONS:
                raise ValueError(f"{name}: expected one of {', '.join(_VERSIONS)}")


class BasicAuth(msgspec.Struct, frozen=True):
    username: str = ""
    username_file: Path | None = None
    password: Secret | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        if self.username and self.username_file:
            raise ValueError("give either username or username_file, not both")
        if self.password and self.password_file:
            raise ValueError("give either password or password_file, not both")


class Authorization(msgspec.Struct, frozen=True):
    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: Path | None = None

    def __post_init__(self) -> None:
        if self.credentials and self.credentials_file:
            raise ValueError("give either credentials or credentials_file, not both")
        if self.type.lower() == "basic":
            raise ValueError('type must not be "basic": give basic_auth instead')


class OAuth2(msgspec.Struct, frozen=True):
    """The client credentials grant (RFC 6749, 4.4)."""

    client_id: str
    token_url: Url
    client_secret: Secret | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ()
    endpoint_params: dict[str, str] = {}
    proxy_url: Url = Url("")
    tls_config: TlsConfig = TlsConfig()

    def __post_init__(self) -> None:
        if self.client_secret and self.client_secret_file:
            raise ValueError("give either client_secret or client_secret_file, not both")


class HttpHeader(msgspec.Struct, frozen=True):
    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[Path, ...] = ()


class HttpConfig(msgspec.Struct, frozen=True):
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: Secret | None = None
    bearer_token_file: Path | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool = True
    enable_http2: bool = True  # taken, without effect: HTTP/1.1 is spoken
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, tuple[Secret, ...]] = {}
    tls_config: TlsConfig = TlsConfig()
    http_headers: dict[str, HttpHeader] = {}

    def __post_init__(self) -> None:
        ways = [self.basic_auth, self.authorization, self.oauth2, self.bearer_token or self.bearer_token_file]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give at most one of basic_auth, authorization, oauth2, bearer_token, bearer_token_file")
        if self.bearer_token and self.bearer_token_file:
            raise ValueError("give either bearer_token or bearer_token_file, not both")
        if self.proxy_url and self.proxy_from_environment:
            raise ValueError("give either proxy_url or proxy_from_environment, not both")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy needs proxy_url")
        if self.proxy_url and not self.proxy_url.startswith(("http://", "https://")):
            raise ValueError("proxy_url: only http:// and https:// proxies are supported")
        taken = sorted(name for name in self.http_headers if name.lower() in _HEADERS_OF_OURS)
        if taken:
            raise ValueError(f"http_headers: {', '.join(taken)} can't be set here")

    @property
    def bearer(self) -> Authorization | None:
        """bearer_token is the older way to say authorization."""
        if self.bearer_token or self.bearer_token_file:
            return Authorization("Bearer", self.bearer_token, self.bearer_token_file)
        return self.authorization


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Raises ValueError: a file is missing or holds no PEM."""
    return _usual_context() if tls == TlsConfig() else _new_context(tls)


@cache
def _usual_context() -> ssl.SSLContext:
    """Shared: the system's authorities take 30 ms to read and a megabyte to keep."""
    return _new_context(TlsConfig())


def _new_context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = _VERSIONS[tls.min_version or "TLS12"]
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.ca or tls.ca_file:
            context.load_verify_locations(cafile=tls.ca_file, cadata=tls.ca or None)
        if tls.cert_file and tls.key_file:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(f"tls_config: no usable PEM: {error.reason or error}") from None
    except OSError as error:
        name = error.filename or tls.ca_file or tls.cert_file
        raise ValueError(f"tls_config: {name} can't be read: {error.strerror}") from None
    return context


def _no_password() -> str:
    """OpenSSL would ask on the terminal otherwise."""
    raise ValueError("tls_config: the key is encrypted; give one without a passphrase, readable by this user only")


def through_proxy(host: str, no_proxy: str) -> bool:
    """`no_proxy` is a comma list of hosts, domains (with all below them) or `*`."""
    for name in (part.strip().lower().lstrip(".") for part in no_proxy.split(",")):
        if name == "*" or (name and (host.lower() == name or host.lower().endswith(f".{name}"))):
            return False
    return True
