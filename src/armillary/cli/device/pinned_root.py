# SPDX-License-Identifier: Apache-2.0
"""The root certificate of a service that is known by its fingerprint only, fetched from the service itself.

::

    1. connect over TLS that proves nothing yet, and ask for the certificates; nothing else is sent, no token
    2. take the certificate whose SHA-256 is the one that was given; end with an error where there is none
    3. whoever goes on makes a new connection, which is verified with that certificate alone

Somebody in between can keep the certificate back, and cannot put another in its place.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import re
import socket
import ssl
import time
from dataclasses import replace
from typing import Final

from armillary import __version__
from armillary.cli.terminal.connection import Connection
from armillary.errors import InvalidArgumentError, ServiceUnreachableError

ROOT_PATH: Final = "/api/v1/public/root.pem"
# An answer has one certificate, or two while a new one takes over.
MAX_ANSWER_BYTES: Final = 64 << 10
# For all of it: connection, handshake and answer.
WITHIN_S: Final = 20.0
_PART_BYTES: Final = 4096
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n?")


def pinned(connection: Connection, sha256: str) -> Connection:
    """The same connection, verified by the service's root certificate with this SHA-256 (hex, of its DER).

    Raises:
        InvalidArgumentError: it is no SHA-256.
        ServiceUnreachableError: the service shows no such certificate (code ``host.service-root``), or does not answer
            within the limits of time and size.
    """
    wanted = sha256.lower()
    if not _SHA256.fullmatch(wanted):
        raise InvalidArgumentError(
            f"root-sha256: expected 64 hexadecimal digits, got {sha256[:80]!r}",
            remedy="Copy the command again from the console: Fleet, Add devices.",
        )
    found = {_sha256(pem): pem for pem in _CERTIFICATE.findall(_root_file(connection))}
    if wanted not in found:
        raise ServiceUnreachableError(
            f"{connection.service}: expected a root certificate with SHA-256 {wanted}, got "
            f"{', '.join(found) or 'none'}; no token was sent",
            code="host.service-root",
            remedy="Make a new command in the console (Fleet, Add devices); if it is refused as well, somebody else "
            "answers at this address.",
        )
    return replace(connection, ca_pem=found[wanted])


def _sha256(pem: str) -> str:
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    except ValueError:  # no base64
        return "of no certificate"


def _root_file(connection: Connection) -> str:
    """What the address answers with, by whomever."""
    try:
        response = http.client.HTTPResponse(_Received(_exchange(connection)), method="GET")  # type: ignore[arg-type]
        response.begin()
        text = response.read().decode("ascii")
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        raise ServiceUnreachableError(f"{connection.service}: no answer ({error or type(error).__name__})") from error
    if response.status != http.client.OK:
        raise ServiceUnreachableError(
            f"{connection.service}: expected its root certificate, got HTTP {response.status}",
            remedy="Use an Armillary service of this version, or name its root.pem: --ca FILE.",
        )
    return text


def _exchange(connection: Connection) -> bytes:
    """The whole answer to one request without a token, within the limits of time and size."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what it answers is verified instead, by its SHA-256
    ends_at = time.monotonic() + WITHIN_S
    asked = (
        f"GET {ROOT_PATH} HTTP/1.1\r\nHost: {connection.service.removeprefix('https://')}\r\n"
        f"User-Agent: armillary-cli/{__version__}\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection((connection.host, connection.port), timeout=WITHIN_S) as plain,
        context.wrap_socket(plain, server_hostname=connection.host) as secured,
    ):
        secured.sendall(asked.encode("ascii"))
        answer = bytearray()
        while True:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"not within {WITHIN_S:g} s")
            secured.settimeout(left_s)
            part = secured.recv(_PART_BYTES)
            if not part:
                return bytes(answer)
            answer += part
            if len(answer) > MAX_ANSWER_BYTES:
                raise http.client.HTTPException(f"more than {MAX_ANSWER_BYTES:,} bytes")


class _Received:
    """An answer that has come, as ``http.client`` reads one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        """A file of it."""
        return io.BytesIO(self._data)
