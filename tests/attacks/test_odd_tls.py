# SPDX-License-Identifier: Apache-2.0
"""Odd ways to begin TLS with the device endpoint, and what takes the checks of TLS away lets through."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import ServiceUnreachableError
from armillary.service.endpoint import connection, device_server
from armillary.service.endpoint.endpoint import server_context
from armillary.service.verifier.peers import Peer
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, read_answer
from armillary.wire.certificates import certificate as profile

CLOSED = (OSError, ServiceUnreachableError)
YEAR_S = 365 * 86_400.0
ASK = b"GET /v1/challenge HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def start(
    tmp_path: Path, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., ServiceHost]]:
    """Starts a service; what it is given changes the TLS context of the device endpoint: the check taken away."""
    with contextlib.ExitStack() as running:

        def started(change: Callable[[ssl.SSLContext], None] = lambda _: None, data: str = "d") -> ServiceHost:
            def changed(*made: object) -> ssl.SSLContext:
                context = server_context(*made)  # type: ignore[arg-type]
                change(context)
                return context

            monkeypatch.setattr(device_server, "server_context", changed)
            host = ServiceHost(tmp_path / data, clock=lambda: time.time() + clock["offset"], planner_interval_s=3600.0)
            running.enter_context(host)
            host.catalog()
            return host

        yield started


def asked(port: int, context: ssl.SSLContext, *, name: str | None = "127.0.0.1", session: object = None) -> tuple:
    """Status of a challenge over a new connection, whether TLS was resumed, and the session for the next one."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as tls,  # type: ignore[arg-type]
    ):
        tls.sendall(ASK)
        return read_answer(tls).status, tls.session_reused, tls.session


def hello() -> bytes:
    """The bytes of a genuine ClientHello."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLOS = {
    "nothing": b"",
    "a byte": b"\x16",
    "cut": hello()[:40],
    "last byte cut": hello()[:-1],
    "a record longer than TLS knows": b"\x16\x03\x01\xff\xff" + bytes(65535),
    "a hello that says it has 16 MiB": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380),
    "SSL 2": b"\x80\x2e\x01\x03\x01" + bytes(46),
    "a version nobody knows": hello().replace(b"\x03\x04", b"\x03\x05"),
    "twice": hello() * 2,
    "no TLS at all": ASK,
    "noise": bytes(range(256)) * 256,
}


@pytest.mark.parametrize("sent", HELLOS.values(), ids=HELLOS)
def test_a_hello_that_is_none_gets_no_answer_and_harms_nobody(start: Callable[..., ServiceHost], sent: bytes) -> None:
    host = start()
    with host.claimed(b"h" * 32) as device, socket.create_connection(("127.0.0.1", device.port), timeout=5) as plain:
        with contextlib.suppress(OSError):
            plain.sendall(sent)
            plain.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(OSError):
            while block := plain.recv(65536):
                received += block
        assert b"HTTP" not in received
        assert device.check_in().verdict == "attested"


def test_without_a_server_name_the_certificate_counts_all_the_same(start: Callable[..., ServiceHost]) -> None:
    host = start()
    device = host.claimed(b"n" * 32)
    context = device.tls_context()
    context.check_hostname = False
    assert asked(device.port, context, name=None)[0] == 200
    bare = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(device.factory.service_root))
    bare.check_hostname = False
    with pytest.raises(CLOSED):
        asked(device.port, bare, name=None)


def test_mutation_of_the_client_certificate_that_is_required(
    start: Callable[..., ServiceHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checks: TLS demands a certificate, and the endpoint knows nobody without one; without both, anybody is in."""
    closed = start().claimed(b"c" * 32)
    bare = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(closed.factory.service_root))
    with pytest.raises(CLOSED):
        asked(closed.port, bare)
    host = start(lambda context: setattr(context, "verify_mode", ssl.CERT_NONE), "open")
    device = host.claimed(b"c" * 32)
    bare = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(device.factory.service_root))
    with socket.create_connection(("127.0.0.1", device.port), timeout=10) as plain:  # TLS lets anybody in ...
        assert bare.wrap_socket(plain, server_hostname="127.0.0.1").version() == "TLSv1.3"
    with pytest.raises(CLOSED):  # ... and the endpoint does not
        asked(device.port, bare)
    genuine, shown = connection.peer_of, device.factory.certificate_chain[0]
    monkeypatch.setattr(connection, "peer_of", lambda der: genuine(der or shown))
    assert asked(device.port, bare)[0] == 200, "a challenge of the device that the stranger was taken for"


def test_mutation_of_tls_1_3_only(start: Callable[..., ServiceHost]) -> None:
    def allow(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ecdh_curve("prime256v1")  # with X25519 alone TLS 1.2 could not use the service's P-256 key

    host = start(allow)
    device = host.claimed(b"d" * 32)
    context = device.tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert asked(device.port, context)[0] == 200


def test_resumed_tls_after_expiry_is_refused_by_two_checks(
    start: Callable[..., ServiceHost], clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tickets are off; with them a session is resumed, and validity on every request refuses it; without both it is in."""

    def with_tickets(context: ssl.SSLContext) -> None:
        context.options &= ~ssl.OP_NO_TICKET
        context.num_tickets = 2

    host = start(with_tickets)
    device = host.claimed(b"r" * 32)
    context = device.tls_context()
    status, reused, session = asked(device.port, context)
    assert (status, reused) == (200, False)
    status, reused, session = asked(device.port, context, session=session)
    assert (status, reused) == (200, True)
    clock["offset"] = 30 * YEAR_S  # beyond the identity certificate
    status, reused, session = asked(device.port, context, session=session)
    assert (status, reused) == (403, True)
    monkeypatch.setattr(Peer, "check_valid", lambda *_: None)
    assert asked(device.port, context, session=session)[:2] == (200, True)


def test_mutation_of_the_authorities_that_are_trusted(start: Callable[..., ServiceHost]) -> None:
    """A same-name authority with another key, for a device that exists: only the trusted keys stop it."""
    rogue_key = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    rogue = profile.build_silicon_authority(
        rogue_key, maker="MediaTek", serial=7, not_before=now - 60, not_after=now + 9999
    )
    der = rogue.public_bytes(serialization.Encoding.DER)
    trusts = {"rogue": False}

    def maybe(context: ssl.SSLContext) -> None:
        if trusts["rogue"]:
            context.load_verify_locations(cadata=der)

    def forged(device: WireDevice) -> WireDevice:
        leaf = profile.build_identity_certificate(
            rogue, rogue_key, device_id=device.device_id, serial=8, not_before=now - 60, not_after=now + 9999
        )
        chain = (leaf.public_bytes(serialization.Encoding.DER), der)
        return replace(device, factory=replace(device.factory, certificate_chain=chain), challenge=b"", _socket=None)

    host = start(maybe)
    device = host.claimed(b"k" * 32)
    with pytest.raises(CLOSED), forged(device) as impostor:
        impostor.check_in()
    trusts["rogue"] = True
    device = start(maybe, "again").claimed(b"k" * 32)
    with forged(device) as impostor:
        assert impostor.check_in().verdict == "attested"
