# SPDX-License-Identifier: Apache-2.0
"""The hub's TLS: one of two contexts for a connection, which demand the same; what a lost connection leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.hub.running_hub import DEVICE, Authority

from armillary.hub.link import tls as hub_tls
from armillary.hub.link.tls import AdmittedTrust, HubContext, Receiver, TlsChannel, hub_context

PLAIN = b"telemetry"


class Holder:
    """A receiver that knows its channel, as all do."""

    channel: object = None
    certificate: bytes | None = None
    is_secured = False
    received = b""

    def secured(self, certificate_der: bytes | None) -> None:
        self.certificate, self.is_secured = certificate_der, True

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool | None:
        return None

    def attached(self, transport: object) -> None:
        self.channel = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It keeps its channel."""


class Plain:
    def set_write_buffer_limits(self, high: int) -> None:
        """As a transport has it."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return True

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default


class Shaken:
    """A handshake of a client with a hub's channel, in memory; ``piece`` bytes of the client's arrive at a time."""

    def __init__(self, context: ssl.SSLContext, client: ssl.SSLContext, piece: int = 100_000) -> None:
        self.holder, self.plain, self.failed = Holder(), Plain(), 0
        self.channel = TlsChannel(context, cast("Receiver", self.holder), self._fail)
        self.channel.connection_made(cast("asyncio.Transport", self.plain))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
        for _ in range(4):
            if self.failed:
                break  # with an alert, which the client would raise
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                if not self.holder.received:
                    tls.write(PLAIN)
            said = outgoing.read()
            for start in range(0, len(said), piece):
                if not self.plain.closed:
                    self.channel.data_received(said[start : start + piece])
            incoming.write(self.plain.sent)
            self.plain.sent = b""

    def _fail(self) -> None:
        self.failed += 1

    @property
    def context(self) -> ssl.SSLContext:
        return self.channel._tls.context


def client_of(authority: Authority, certificate: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=authority.trusted)
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


@pytest.fixture
def context(authority: Authority) -> HubContext:
    server = authority.folder / "server.pem"
    return hub_context(server, server, authority.trusted)


@pytest.fixture(params=["lean", "p-256", "tls-1.2"])
def restrict(request: pytest.FixtureRequest) -> Callable[[ssl.SSLContext], ssl.SSLContext]:
    """Has a client be one that gets the lean context, or one of those that get the other."""

    def restricted(client: ssl.SSLContext) -> ssl.SSLContext:
        if request.param == "p-256":
            client.set_ecdh_curve("prime256v1")
        elif request.param == "tls-1.2":
            client.maximum_version = ssl.TLSVersion.TLSv1_2
        return client

    return restricted


@pytest.mark.parametrize("piece", [100_000, 1])
def test_a_client_with_a_key_on_x25519_gets_the_lean_context(
    context: HubContext, authority: Authority, piece: int
) -> None:
    shaken = Shaken(context, client_of(authority, authority.device(DEVICE)), piece)
    assert shaken.context is context.lean
    assert (shaken.holder.received, shaken.channel.get_extra_info("sslcontext")) == (PLAIN, context)


def test_other_clients_get_the_other_context(context: HubContext, authority: Authority) -> None:
    for restricted in ("p-256", "tls-1.2", "no-lean"):
        client = client_of(authority, authority.device(DEVICE))
        if restricted == "p-256":
            client.set_ecdh_curve("prime256v1")
        elif restricted == "tls-1.2":
            client.maximum_version = ssl.TLSVersion.TLSv1_2
        else:
            context.lean = None
        shaken = Shaken(context, client)
        assert (shaken.context, shaken.holder.received) == (context, PLAIN), restricted


def test_no_client_without_a_trusted_certificate_is_secured(
    context: HubContext, authority: Authority, restrict: Callable[[ssl.SSLContext], ssl.SSLContext]
) -> None:
    for certificate in (None, authority.untrusted()):
        shaken = Shaken(context, restrict(client_of(authority, certificate)))
        assert (shaken.holder.is_secured, shaken.failed, shaken.plain.closed) == (False, 1, True)


def test_what_becomes_trusted_and_optional_is_so_in_both_contexts(
    context: HubContext, authority: Authority, restrict: Callable[[ssl.SSLContext], ssl.SSLContext]
) -> None:
    unknown = authority.untrusted()
    der = ssl.PEM_cert_to_DER_cert(unknown.read_text().partition("-----BEGIN PRIVATE")[0])
    trust = AdmittedTrust(context)
    trust.update(True, [der])
    assert Shaken(context, restrict(client_of(authority, unknown))).holder.certificate == der
    assert Shaken(context, restrict(client_of(authority, None))).holder.is_secured
    trust.update(False, [der])
    assert not Shaken(context, restrict(client_of(authority, None))).holder.is_secured


def test_a_renewed_certificate_is_presented_by_both_contexts(
    context: HubContext, authority: Authority, restrict: Callable[[ssl.SSLContext], ssl.SSLContext]
) -> None:
    other = authority.folder / "other.pem"
    authority._write("other", authority._make("other", authority.catalog))
    context.load_cert_chain(other, other)
    client = restrict(client_of(authority, authority.device(DEVICE)))
    with pytest.raises(ssl.SSLCertVerificationError):
        Shaken(context, client)  # it comes without the authority between


def test_with_many_trusted_certificates_there_is_one_context(
    context: HubContext, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_tls, "MAX_TRUSTED_TWICE", 2)
    context.load_verify_locations(cadata=authority.trusted)
    assert context.lean is not None
    context.load_verify_locations(cadata=authority.trusted)
    assert context.lean is None
    assert Shaken(context, client_of(authority, authority.device(DEVICE))).holder.received == PLAIN


def test_what_is_no_client_hello_is_refused_by_tls(context: HubContext) -> None:
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\x20", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x01\x01\x16"):
        plain, failures = Plain(), list[int]()
        channel = TlsChannel(context, cast("Receiver", Holder()), lambda: failures.append(1))  # noqa: B023
        channel.connection_made(cast("asyncio.Transport", plain))
        channel.data_received(said + bytes(20))
        assert (plain.closed, failures) == (True, [1]), said


def test_a_lost_connection_frees_its_tls_before_any_collection() -> None:
    holder = Holder()
    channel = TlsChannel(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cast("Receiver", holder), lambda: None)
    channel.connection_made(cast("asyncio.Transport", Plain()))
    channel.data_received(b"\x16\x03\x01\x00\x05\x01")
    assert channel._hello, "five bytes of the record are missing"
    channel.data_received(b"\0\0\1\0")
    tls = weakref.ref(channel._tls)
    gc.disable()
    try:
        assert tls() is not None
        channel.connection_lost(None)
        assert tls() is None
    finally:
        gc.enable()
    assert holder.channel is channel
    channel.write(b"late")
    channel.close()
    assert channel.get_extra_info("sslcontext") is None
