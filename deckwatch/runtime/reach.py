"""Why another daemon can't be reached, in words that say what to mend; and what an address may look like."""

from __future__ import annotations

import os

import aiohttp
from yarl import URL

from deckwatch.runtime.faults import Unusable


def daemon_url(text: str, origin: str, *, example: str) -> URL:
    """Raises Unusable, without showing what may be a password."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.user is not None or url.password is not None:
        raise Unusable(
            f"{origin}: an address holds no user or password, others would see them; "
            "give a token by --token-file or DECKWATCH_TOKEN"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise Unusable(f"{origin} {text}: expected an address like {example}")
    return url


def why_unreachable(error: Exception, url: URL, *, options: str = "tls.") -> str:
    """`options`: how the options of TLS begin where the reader would set them: `agent.tls.` or `--`."""
    named = options + ("ca-file" if options == "--" else "ca_file")
    own = options + ("cert-file" if options == "--" else "cert_file")
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error, named)
        case aiohttp.ClientConnectorSSLError() if "WRONG_VERSION" in str(error) or "RECORD_LAYER" in str(error):
            return "it does not speak TLS; is it http://?"
        case aiohttp.ClientSSLError():
            return f"no TLS connection: {getattr(error.os_error, 'reason', None) or error.os_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"its name is not known ({error.os_error.strerror or error.os_error})"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return os.strerror(number) if number and number > 0 else str(error.os_error.strerror or error.os_error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() if url.scheme == "https":
            return f"it ended the connection; where it asks for a client certificate, set {own}"
        case aiohttp.ServerDisconnectedError():
            return "it ended the connection; does it speak https://?"
    return str(error) or type(error).__name__


def _certificate(error: Exception, option: str) -> str:
    said = str(getattr(error, "verify_message", "") or error)
    if "mismatch" in said.lower():
        return f"its certificate is for another name: {said}"
    return f"its certificate is not trusted ({said}); {option} names the authority that signed it"
