"""TLS contexts from settings; a server may ask for client certificates, a client may bring its own authority."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from deckwatch.runtime.faults import Unusable


class ServerTls(msgspec.Struct, frozen=True):
    cert_file: Annotated[Path | None, Meta(description="Certificate chain (PEM). Set: only HTTPS is spoken.")] = None
    key_file: Annotated[Path | None, Meta(description="Its private key (PEM).")] = None
    client_ca_file: Annotated[
        Path | None, Meta(description="Authorities (PEM) whose client certificates are let in; unset: none is asked.")
    ] = None


class ClientTls(msgspec.Struct, frozen=True):
    ca_file: Annotated[Path | None, Meta(description="Authorities (PEM) to trust; unset: the system's.")] = None
    cert_file: Annotated[Path | None, Meta(description="Client certificate chain (PEM).")] = None
    key_file: Annotated[Path | None, Meta(description="Its private key (PEM).")] = None


def server_context(tls: ServerTls) -> ssl.SSLContext | None:
    """None: plain HTTP. Raises Unusable: half a pair, a missing or broken file."""
    if tls.client_ca_file is not None and tls.cert_file is None:
        raise Unusable(
            "tls.client_ca_file: needs tls.cert_file and tls.key_file: client certificates exist in TLS only"
        )
    if not _has_pair(tls.cert_file, tls.key_file):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pair(context, tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        _load_authorities(context, tls.client_ca_file, "tls.client_ca_file")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Verifies the server in any case. Raises Unusable as `server_context`."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca_file is not None:
        _load_authorities(context, tls.ca_file, "tls.ca_file")
    if _has_pair(tls.cert_file, tls.key_file):
        _load_pair(context, tls.cert_file, tls.key_file)
    return context


def _has_pair(cert_file: Path | None, key_file: Path | None) -> bool:
    if (cert_file is None) != (key_file is None):
        missing = "tls.key_file" if key_file is None else "tls.cert_file"
        raise Unusable(f"{missing}: not set; a certificate and its key are given together")
    return cert_file is not None


def _load_pair(context: ssl.SSLContext, cert_file: Path | None, key_file: Path | None) -> None:
    try:
        context.load_cert_chain(str(cert_file), str(key_file), password=_no_password)
    except (OSError, ValueError) as error:
        raise Unusable(f"tls.cert_file {cert_file}, tls.key_file {key_file}: {_why(error)}") from None


def _load_authorities(context: ssl.SSLContext, path: Path, option: str) -> None:
    try:
        context.load_verify_locations(str(path))
    except OSError as error:
        raise Unusable(f"{option} {path}: {_why(error)}") from None


def _no_password() -> str:
    """OpenSSL would ask on the terminal otherwise."""
    raise ValueError("the key is encrypted; give one without a passphrase, readable by this user only")


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no usable PEM: {error.reason or error}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
