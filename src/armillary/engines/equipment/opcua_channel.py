# SPDX-License-Identifier: Apache-2.0
"""A session with an OPC UA server whose certificate is pinned; asyncua speaks, within bounds that are set here.

How one is opened, in this order:

(1) The endpoints are asked for. This is the only exchange without encryption; nothing but the server's URL is said in
    it, and nothing that comes is believed before (2) to (4).
(2) An endpoint with the profile's policy and SignAndEncrypt is there. None, Sign and older policies are never used,
    whatever a server or somebody in between offers.
(3) The SHA-256 of its certificate is the one in the profile. There is no trust at first sight.
(4) The certificate has a key of 2048 to 4096 bits and is not over. Whether it is valid *already* is not asked: a
    guardian's clock may never have been set.
(5) The secure channel is opened to this certificate; the server signs the session with its key.

Not used of asyncua: its background tasks (reads that no permit covers), its reconnecting, browsing and method calls.

Source: OPC UA part 4 §5.4 to §5.10, part 6 §6.7 and §7.1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, Any, Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto import security_policies
from asyncua.ua import ua_binary
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from armillary.engines.equipment.opcua_identity import ClientIdentity
from armillary.wire.equipment.faults import LinkError, ProfileError
from armillary.wire.equipment.profile import OpcUa

POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
KEY_BITS = range(2048, 4097)  # What these policies allow (part 7)
CHUNK_BYTES = 65_535  # Largest piece of a message that is taken
CHUNKS = 64  # Of one message; servers cut into 8 KiB
MESSAGE_BYTES = 256 * 1024  # 500 values with texts; what is made of it takes up to a hundred times as much
ENDPOINTS_MAX = 100
SESSION_S = 120.0  # A session that nobody closes is over at the server after that
CHANNEL_S = 3600.0
USED_UP = 0.75  # Of a lifetime: then it is renewed (part 4 §5.5.2.1)
OPEN_TIMEOUTS = 3.0  # Times the link's timeout: six exchanges, each with one of its own

ELEMENTS_MAX = 10_000  # Of a value with dimensions: empty ones are made for what is missing

# What goes wrong is in the LinkError; asyncua would log each with the trace, at the pace of whoever floods it.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


def checked_settings(settings: OpcUa) -> OpcUa:
    """Refuse settings that name no encryption or no certificate.

    Raises:
        ProfileError: policy, fingerprint or URL is none that a guardian uses.
    """
    if settings.policy not in POLICIES:
        raise ProfileError("link.policy", expected=" or ".join(POLICIES), got=repr(settings.policy))
    pin = settings.server_certificate_sha256
    if len(pin) != 64 or set(pin.lower()) - set("0123456789abcdef"):
        raise ProfileError("link.server_certificate_sha256", expected="64 hex digits, of its DER form", got=repr(pin))
    try:
        parts = urlsplit(settings.url)
        usable = parts.scheme == "opc.tcp" and parts.hostname and (parts.port or 1) and parts.username is None
    except ValueError:
        usable = None
    if not usable:
        raise ProfileError("link.url", expected="opc.tcp://HOST:PORT", got=repr(settings.url))
    return settings


# Elements of an array of Null take no bytes: 13 bytes from anybody, also before (3), could ask for 2**31 of them.
_unbounded_array = ua_binary.unpack_uatype_array


def _bounded_array(vtype: ua.VariantType, data: Buffer | IO[Any]) -> list[Any] | None:
    if vtype is ua.VariantType.Null:
        raise UaError("an array of nothing")
    return _unbounded_array(vtype, data)


ua_binary.unpack_uatype_array = _bounded_array
ua_binary.MAX_RESHAPE_ELEMENTS = ELEMENTS_MAX


class _Limits(TransportLimits):
    """What is taken is decided here; a server decides only how much it takes itself."""

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        self.max_send_buffer = min(CHUNK_BYTES, msg.ReceiveBufferSize)


class _Protocol(UASocketProtocol):
    """Takes no more than the limits, and remembers that what came could not be read: it is why the connection ended."""

    def __init__(self, timeout: float, policy: security_policies.SecurityPolicy) -> None:
        super().__init__(timeout, policy, _Limits(CHUNK_BYTES, CHUNK_BYTES, CHUNKS, MESSAGE_BYTES))
        self._damage: UaError | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waits_for = self.receive_buffer[4:8] if self.receive_buffer is not None else b""  # Part 6 §7.1.2.2: its size
        if int.from_bytes(waits_for, "little") > CHUNK_BYTES:
            self.receive_buffer = None
            self._end(f"a piece of more than {CHUNK_BYTES} bytes")
        elif self.transport is not None and self.transport.is_closing():
            self._end("what came is not OPC UA, or not of this channel")

    def _end(self, why: str) -> None:
        self._damage = UaError(why)
        self._fail_all_pending(self._damage)
        self.disconnect_socket()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(self._damage or exc)

    def _send_request(self, *given: Any, **named: Any) -> asyncio.Future[Any]:
        if self._damage is not None:
            raise self._damage
        return super()._send_request(*given, **named)


class _Transport(UaClient):
    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = _Protocol(self._timeout, self.security_policy)
        self.protocol.on_connection_lost = self._on_transport_lost
        return self.protocol


def _client(settings: OpcUa) -> Client:
    client = Client(settings.url, timeout=settings.timeout_s)
    client.uaclient = _Transport(settings.timeout_s)
    client.name = client.description = "Armillary guardian"
    client.product_uri = "urn:armillary:guardian"
    client.max_messagesize, client.max_chunkcount = MESSAGE_BYTES, CHUNKS
    client.secure_channel_timeout = int(CHANNEL_S * 1000)
    client.session_timeout = int(SESSION_S * 1000)
    return client


async def _connect(client: Client) -> None:
    """Connect, by a protocol that has our bounds: one of another asyncua that goes round them is not spoken with."""
    await client.connect_socket()
    if not isinstance(client.uaclient.protocol, _Protocol):
        raise TypeError("this asyncua reads by a class of its own, without bounds")
    await client.send_hello()


async def offered_endpoints(settings: OpcUa) -> list[ua.EndpointDescription]:
    """Step (1): what a server, or somebody in its place, says that it offers. Nothing of it is verified."""
    client = _client(settings)
    try:
        async with asyncio.timeout(OPEN_TIMEOUTS * settings.timeout_s):
            await _connect(client)
            await client.open_secure_channel()
            endpoints = await client.get_endpoints()
            with suppress(ConnectionError):  # The server may have been quicker
                await client.close_secure_channel()
    finally:
        client.disconnect_socket()
    return list(endpoints or ())[:ENDPOINTS_MAX]


async def pinned_certificate(settings: OpcUa, now: float) -> x509.Certificate:
    """Ask a server for its certificate: steps (1) to (4).

    Args:
        settings: Of the link.
        now: Unix seconds, for the certificate's end.

    Raises:
        LinkError: ``foreign``, it is not the server that the profile names or has no such endpoint.
    """
    return chosen_certificate(await offered_endpoints(settings), settings, now)


def chosen_certificate(offered: Sequence[ua.EndpointDescription], settings: OpcUa, now: float) -> x509.Certificate:
    """Steps (2) to (4) over what a server, or somebody in its place, said of itself.

    Raises:
        LinkError: ``foreign``, nothing of it is what the profile names.
    """
    secured = [
        each.ServerCertificate or b""
        for each in offered  # (2)
        if each.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
        and each.SecurityPolicyUri == POLICIES[settings.policy].URI
    ]
    if not secured:
        policies = sorted({str(each.SecurityPolicyUri).rpartition("#")[2][:40] for each in offered})
        message = f"{settings.url} offers {', '.join(policies) or 'nothing'}, and not {settings.policy} with encryption"
        raise LinkError("foreign", message)
    pin = settings.server_certificate_sha256.lower()
    found = {sha256(der).hexdigest(): der for der in map(leading, secured)}
    if pin not in found:  # (3)
        message = f"{settings.url} shows the certificate {', '.join(found)}; the profile names {pin}"
        raise LinkError("foreign", message)
    return _usable(found[pin], settings.url, now)


def leading(chain: bytes) -> bytes:
    """The first certificate of a chain of DER certificates (part 6 §6.2.6)."""
    return chain[: 4 + int.from_bytes(chain[2:4], "big")] if chain[1:2] == b"\x82" else chain


def _usable(der: bytes, url: str, now: float) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except ValueError as error:
        raise LinkError("foreign", f"the certificate of {url} cannot be read: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in KEY_BITS:  # (4)
        raise LinkError("foreign", f"the certificate of {url} has no RSA key of 2048 to 4096 bits")
    if certificate.not_valid_after_utc < datetime.fromtimestamp(now, UTC):
        raise LinkError(
            "foreign", f"the certificate of {url} ended at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}"
        )
    return certificate


class OpcUaSession:
    """One secure channel with one session. After any error it is dropped, and another is opened."""

    def __init__(self, client: Client, opened_at: float) -> None:
        self._client = client
        self._channel_at = self._used_at = opened_at  # Monotonic seconds

    @classmethod
    async def open(cls, settings: OpcUa, server: x509.Certificate, identity: ClientIdentity, now: float) -> Self:
        """Step (5). ``now``: monotonic seconds. Raises whatever asyncua raises; nothing stays open then."""
        client = _client(settings)
        client.application_uri = identity.uri
        policy = POLICIES[settings.policy](
            server, identity.certificate, identity.key, ua.MessageSecurityMode.SignAndEncrypt
        )
        client.security_policy = policy  # type: ignore[assignment]  # annotated as what it begins as
        client.uaclient.set_security(policy)
        try:
            async with asyncio.timeout(OPEN_TIMEOUTS * settings.timeout_s):
                await _connect(client)
                await client.open_secure_channel()
                await client.create_session()
                await client.activate_session()
        except BaseException:  # A task that was stopped leaves no socket either
            client.disconnect_socket()
            raise
        return cls(client, now)

    def is_over(self, now: float) -> bool:
        """Whether the server may have ended it: the connection is gone, or it was not used for too long."""
        protocol = self._client.uaclient.protocol
        return (
            protocol is None
            or protocol.transport is None
            or protocol.transport.is_closing()
            or now - self._used_at > USED_UP * self._client.session_timeout / 1000
            or now - self._channel_at > self._client.secure_channel_timeout / 1000
        )

    async def renew(self, now: float) -> None:
        """Renew the channel's keys when three quarters of their time are over."""
        if now - self._channel_at > USED_UP * self._client.secure_channel_timeout / 1000:
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()
            self._channel_at = now

    async def read(self, nodes: Sequence[ua.NodeId], now: float) -> list[ua.DataValue]:
        """Read values as the server has them now, with the times at which it got them."""
        parameters = ua.ReadParameters(MaxAge=0, TimestampsToReturn=ua.TimestampsToReturn.Source)
        parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value) for node in nodes]
        values = await self._client.uaclient.read(parameters)
        self._used_at = now
        return values

    async def write(self, node: ua.NodeId, value: ua.Variant, now: float) -> ua.StatusCode:
        """Write one value; the status is the server's answer about it."""
        item = ua.WriteValue(NodeId=node, AttributeId=AttributeIds.Value, Value=ua.DataValue(value))
        (status,) = await self._client.uaclient.write(ua.WriteParameters(NodesToWrite=[item]))
        self._used_at = now
        return status

    async def close(self) -> None:
        """End the session at the server, then the connection."""
        try:
            await self._client.uaclient.close_session(delete_subscriptions=True)
            await self._client.close_secure_channel()
        finally:
            self.drop()

    def drop(self) -> None:
        """End the connection at once."""
        self._client.disconnect_socket()


def variant(value: Any, kind: str) -> ua.Variant:
    """A value as one of OPC UA's built-in types.

    Raises:
        ValueError: it does not fit.
    """
    built_in = ua.VariantType[kind]
    if built_in in (ua.VariantType.Float, ua.VariantType.Double):
        return ua.Variant(float(value), built_in)
    if built_in is ua.VariantType.Boolean:
        return ua.Variant(bool(value), built_in)
    if value != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return ua.Variant(int(value), built_in)
