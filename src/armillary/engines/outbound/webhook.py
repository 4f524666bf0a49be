# SPDX-License-Identifier: Apache-2.0
"""Webhooks: a CloudEvent over HTTPS, signed, to hosts that the setting allows and to no other.

*Event*: CloudEvents 1.0.2, structured mode, JSON (``application/cloudevents+json``); ``id`` is the delivery's and stays
the same over all attempts, so that a receiver that has seen it can pass it over.

*Signature*: ``Armillary-Signature: t=UNIX_SECONDS,v1=HEX``, HEX being HMAC-SHA256 (RFC 2104) of the ASCII text
``UNIX_SECONDS.`` followed by the body, with the secret of the action, export or channel. :func:`verify` is the
receiver's side of it.

*Where to*: who may write rules or channels could otherwise have this process call addresses that only it reaches
(loopback, the cloud's metadata address, the inside of a network). So the addresses of the host are looked up once, each
has to be allowed, and the connection goes to the address that was looked at; redirects are not followed, and nothing of
an answer but its status is shown to anybody.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import socket
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from armillary.engines.outbound.deadline import cut_after
from armillary.engines.outbound.public_address import Address, is_public
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.twin.document.document import timestamp
from armillary.wire.text.web_address import split_web_address

# A receiver answers when it has the event, not when it has dealt with it.
TIMEOUT_S: Final = 10.0
# How long one request lasts at most, whatever comes meanwhile.
WHOLE_S: Final = 30.0
# Word of the setting that stands for every public address.
PUBLIC: Final = "public"
# Ports that a public host may be called at: the web's, and from this one on, where no system service listens.
HTTPS_PORT: Final = 443
FIRST_FREE_PORT: Final = 1024
# For how long a signature is good at a receiver (seconds).
MAX_AGE_S: Final = 300

SIGNATURE_HEADER: Final = "Armillary-Signature"
CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Where webhooks may go."""

    public: bool  # Whether to every public address, over HTTPS
    named: frozenset[str]  # Hosts, and ``host:port`` pairs, that may be called whatever their address; also over HTTP

    @classmethod
    def parse(cls, setting: str) -> AllowedHosts:
        """Read the setting ``webhook_hosts``: names and ``host:port`` pairs, ``public`` among them, commas between."""
        parts = {part.strip().lower() for part in setting.split(",") if part.strip()}
        return cls(PUBLIC in parts, frozenset(parts - {PUBLIC}))

    def is_named(self, host: str, port: int) -> bool:
        """Whether the host is allowed by name."""
        return host in self.named or f"{host}:{port}" in self.named


def place_of(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and request target of a URL; raises InvalidArgumentError if it is none."""
    try:
        parts = split_web_address(url)
    except ValueError as error:
        raise InvalidArgumentError(
            f"address: expected http or https, a host and a port to 65535, got {url!a:.100}", remedy="Correct it."
        ) from error
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, (parts.hostname or "").lower(), port, target


def check_url(url: str, allowed: AllowedHosts) -> None:
    """Refuse a URL that the setting forbids by its looks; addresses are looked at when it is called.

    Raises:
        InvalidArgumentError: it is not allowed.
    """
    scheme, host, port, _ = place_of(url)
    if allowed.is_named(host, port):
        return
    literal = _literal(host)
    internal = _is_this_host(host) if literal is None else not is_public(literal)
    if not allowed.public or scheme != "https" or not _is_public_port(port) or internal:
        raise InvalidArgumentError(
            f"webhook: {scheme}://{host}:{port} is not allowed",
            remedy="Use https to a public host, or have the administrator name the host in the setting webhook_hosts.",
        )


def _literal(host: str) -> Address | None:
    """The address that a host is, however it is written: resolvers also read ``127.1``, ``0x7f000001`` and ``0``."""
    name = host.rstrip(".")
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name)
    with contextlib.suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(name))
    return None


def _is_this_host(host: str) -> bool:
    """Whether a name stands for this host wherever it is looked up (RFC 6761 §6.3)."""
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _is_public_port(port: int) -> bool:
    return port == HTTPS_PORT or port >= FIRST_FREE_PORT


def resolve(url: str, allowed: AllowedHosts) -> tuple[str, int]:
    """An address of the URL's host that may be called, and the port. Blocks for the resolver.

    Raises:
        PermissionDeniedError: the host is not allowed, or one of its addresses is not.
        OSError: it has none.
    """
    _, host, port, _ = place_of(url)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if allowed.is_named(host, port):
        return addresses[0], port
    try:
        check_url(url, allowed)
    except InvalidArgumentError as error:
        raise PermissionDeniedError(error.message, remedy=error.remedy) from error
    for each in addresses:
        if not is_public(ipaddress.ip_address(each.partition("%")[0])):
            raise PermissionDeniedError(
                f"webhook: {host} has an address inside a network", remedy="Name the host in webhook_hosts to allow it."
            )
    return addresses[0], port


def event(
    delivery_id: str,
    source: str,
    subject: str,
    at_ms: int,
    data: dict[str, Any],
    *,
    kind: str = "rule.fired",
    **extensions: str,
) -> bytes:
    """The body: a CloudEvent of the type ``armillary.KIND``; ``extensions`` are further attributes of its context."""
    document = {
        "specversion": "1.0",
        "id": delivery_id,
        "source": source,
        "type": f"armillary.{kind}",
        "subject": subject,
        "time": timestamp(at_ms),
        "datacontenttype": "application/json",
        **extensions,
        "data": data,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def sign(secret: str, body: bytes, now_s: int) -> str:
    """The value of the signature header."""
    made = hmac.new(secret.encode("ascii"), b"%d." % now_s + body, sha256).hexdigest()
    return f"t={now_s},v1={made}"


def verify(secret: str, body: bytes, header: str, now_s: int) -> bytes:
    """The receiver's check: the body, if it was signed with the secret a short time ago.

    Raises:
        PermissionDeniedError: the signature is wrong or too old.
    """
    fields = dict(part.partition("=")[::2] for part in header.split(","))
    signed_s = int(fields["t"]) if fields.get("t", "").isdecimal() else 0
    expected = sign(secret, body, signed_s).partition("v1=")[2]
    if not hmac.compare_digest(expected.encode(), fields.get("v1", "").encode("utf-8", "replace")):
        raise PermissionDeniedError("the signature is not of this body and secret", remedy="Refuse the request.")
    if abs(now_s - signed_s) > MAX_AGE_S:
        raise PermissionDeniedError("the signature is too old: somebody sends it again", remedy="Refuse the request.")
    return body


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    allowed: AllowedHosts,
    *,
    content_type: str = CONTENT_TYPE,
    method: str = "POST",
) -> tuple[int, str]:
    """Send, by POST or another method; the answer's status and its Retry-After. Blocks: call it in a thread.

    Raises:
        PermissionDeniedError: the host is not allowed.
        OSError, http.client.HTTPException: no answer.
    """
    return exchange(url, body, headers, allowed, content_type=content_type, method=method)[:2]


def exchange(
    url: str,
    body: bytes,
    headers: dict[str, str],
    allowed: AllowedHosts,
    *,
    content_type: str,
    method: str = "POST",
    most: int = 0,
    ca_file: str = "",
) -> tuple[int, str, bytes]:
    """As :func:`post`, with the first ``most`` bytes of the answer's body, for programs and not for people.

    ``ca_file`` is a PEM file that the server's certificate is checked with; the system's authorities when empty.
    """
    import http.client  # noqa: PLC0415 - only with webhooks
    import ssl  # noqa: PLC0415

    scheme, host, _, target = place_of(url)
    address, port = resolve(url, allowed)
    with socket.create_connection((address, port), timeout=TIMEOUT_S) as plain:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        channel = plain
        if scheme == "https":
            context = ssl.create_default_context(cafile=ca_file or None)
            channel = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        connection.sock = channel
        try:
            with cut_after(WHOLE_S, lambda: channel):
                if isinstance(channel, ssl.SSLSocket):
                    channel.do_handshake()
                sent = {**headers, "Content-Type": content_type, "Connection": "close"}
                connection.request(method, target, body, sent)
                answer = connection.getresponse()
                return answer.status, answer.getheader("Retry-After") or "", answer.read(most) if most else b""
        finally:
            connection.close()
            channel.close()
