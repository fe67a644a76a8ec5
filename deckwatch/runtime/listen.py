"""Where a daemon may listen: loopback freely, elsewhere only behind a token or by explicit wish."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

import msgspec

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings_fields import Secret


class Listen(msgspec.Struct, frozen=True):
    host: str
    port: int  # 0 = any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str, *, option: str = "--listen") -> Listen:
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` (all interfaces). Raises Unusable."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and not bracketed):
        raise Unusable(f"{option} {text}: expected HOST:PORT, for instance 127.0.0.1:9428, [::1]:9428 or 127.0.0.1:0")
    return Listen(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - check_listen asks for a token then


def is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def check_listen(listen: Listen, *, token: Secret | None, insecure: bool, option: str = "--listen") -> None:
    """Raises Unusable where anybody on the network could read logs or send them."""
    if is_loopback(listen.host) or token is not None or insecure:
        return
    raise Unusable(
        f"{option} {listen}: reachable from other machines, but no bearer token is set; give --token-file FILE "
        "(or DECKWATCH_TOKEN in the environment), listen on 127.0.0.1, or add --insecure"
    )


def bind(listen: Listen, *, option: str = "--listen") -> socket.socket:
    """A listening socket. Raises Unusable naming the option: port in use, no such address, not allowed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Unusable(f"{option} {listen}: {error.strerror}; give an address of this machine") from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise Unusable(f"{option} {listen}: {_why(error)}") from None
    bound.setblocking(False)
    return bound


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; stop what listens there, or choose another one (0 = any free one)"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    if error.errno == errno.EACCES:
        return "not allowed for this user; ports below 1024 need CAP_NET_BIND_SERVICE"
    return os.strerror(error.errno or 0)


def address_of(bound: socket.socket, *, tls: bool) -> str:
    """The URL under which this machine reaches a listening socket (all interfaces: by loopback)."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
    return f"{'https' if tls else 'http'}://{Listen(host, port)}"
