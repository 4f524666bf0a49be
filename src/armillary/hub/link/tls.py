# SPDX-License-Identifier: Apache-2.0
"""TLS for the hub: the context devices connect with, and a channel that costs little memory while idle.

The event loops' own TLS transports keep a Python-visible buffer machinery for each connection; this channel is an
``ssl.SSLObject`` with two memory buffers on a plain transport and nothing else. Measured with OpenSSL 3.5 and
client certificates: 54 KB a connection with uvloop's, 46 KB with this one, 41 KB with a P-256 key exchange, 37 KB with
X25519.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, cast

from armillary.hub.link.hello import has_x25519_share, is_whole
from armillary.hub.link.limits import MAX_SEND_BUFFER_BYTES

# Bytes encrypted and decrypted at a time: a TLS record holds at most 16 KiB (RFC 8446 §5.1). No more is fed to OpenSSL
# at once, because its memory buffers grow with what is written into them and never shrink: a burst of telemetry or a
# large twin would cost its size as long as the connection lives.
RECORD_BYTES = 16 * 1024

# The same in the handshake: the client's certificates in one piece would cost 1.3 KiB a connection.
HANDSHAKE_FEED_BYTES = 512

# The real azure-iot-device client speaks nothing newer than TLS 1.2; these suites have forward secrecy and AEAD.
TLS_1_2_CIPHERS = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"

# Key exchange groups. What every TLS 1.3 implementation has (RFC 8446 §9.1), and what TLS 1.2 needs to take P-256
# certificates; and for clients that come with a key for it, as most do, X25519, whose two keys OpenSSL keeps in 0.5 KB
# instead of 4 as long as the connection lives, and which spares them a second ClientHello. OpenSSL 3.5 would otherwise
# agree on a hybrid with ML-KEM, and keep its 8 KB. Python sets one group for a context, so that there are two.
KEY_EXCHANGE_GROUP = "prime256v1"
LEAN_KEY_EXCHANGE_GROUP = "X25519"

# Authorities and certificates that both contexts trust. Each takes 6 KB in the second one as well: with more of them,
# that one is given up, as it would cost more than it saves.
MAX_TRUSTED_TWICE = 200


class Transport(Protocol):
    """What a connection needs of its transport: a plain one, or a :class:`TlsChannel`."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def close(self) -> None:
        """Send what is buffered, then close."""

    def write_eof(self) -> None:
        """Send what is buffered and nothing more; what still comes is discarded."""

    def abort(self) -> None:
        """Close at once."""

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""

    def pause_reading(self) -> None:
        """Deliver no more data."""

    def resume_reading(self) -> None:
        """Deliver data again."""

    def get_extra_info(self, name: str, default: object = None, /) -> object:
        """What is known of the connection, such as ``peername``."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver what comes to another protocol from now on."""


class Receiver(Protocol):
    """What runs on a channel: as an ``asyncio.Protocol``, but for what it is handed as transport."""

    def attached(self, transport: Transport) -> None:
        """The TCP connection is there; the handshake begins."""

    def secured(self, certificate_der: bytes | None) -> None:
        """The handshake is done and the peer's certificate verified."""

    def data_received(self, data: bytes) -> None:
        """Decrypted bytes."""

    def eof_received(self) -> bool | None:
        """The peer has closed its side."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone; also called when it was never open."""

    def pause_writing(self) -> None:
        """The send buffer is full."""

    def resume_writing(self) -> None:
        """The send buffer has room again."""


class HubContext(ssl.SSLContext):
    """The context of the hub's listener, with another one for clients that come with a key on X25519."""

    lean: ssl.SSLContext | None = None
    _trusted = 0

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Present this certificate from the next handshake on."""
        super().load_cert_chain(certfile, keyfile, password)
        if self.lean is not None:
            self.lean.load_cert_chain(certfile, keyfile, password)

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Trust these certificates as well."""
        super().load_verify_locations(cafile, capath, cadata)
        self._trusted += 1
        if self._trusted > MAX_TRUSTED_TWICE:
            self.lean = None
        if self.lean is not None:
            self.lean.load_verify_locations(cafile, capath, cadata)

    def context_for(self, hello: bytes) -> ssl.SSLContext:
        """The context for a connection that begins with these bytes; both demand the same of clients."""
        lean = self.lean
        if lean is None or not has_x25519_share(hello):
            return self
        lean.verify_mode, lean.verify_flags = self.verify_mode, self.verify_flags
        return lean


def hub_context(certificate: Path, key: Path, trusted_pem: str) -> HubContext:
    """The context of the hub's listener: TLS 1.3, or 1.2 with ECDHE-ECDSA AEAD suites; client certificate required.

    No tickets and no resumption: a resumed session would outlive the certificate it was opened with. Files are PEM;
    devices' certificates must come from the authorities of ``trusted_pem``.
    """
    context, lean = HubContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, lean.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve(KEY_EXCHANGE_GROUP)
    context.set_ciphers(TLS_1_2_CIPHERS)
    try:
        lean.set_ecdh_curve(LEAN_KEY_EXCHANGE_GROUP)
        context.lean = lean
    except (ValueError, ssl.SSLError):
        pass  # an OpenSSL restricted to NIST's curves has none; everybody then has the other group
    for each in (context, lean):
        each.options |= (
            ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        )
        each.num_tickets = 0
        each.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=trusted_pem)
    return context


class AdmittedTrust:
    """Adds the certificates that catalogs admit to the TLS trust store; identity is checked after the handshake.

    A certificate that is not admitted any more stays in the trust store until the next start, and opens nothing.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._known: set[bytes] = set()
        # A device's own certificate is registered, so it is trusted without its issuer.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def update(self, anybody: bool, certificates: Iterable[bytes]) -> None:  # noqa: FBT001 - as the service says it
        """Trust these certificates and authorities (DER); ``anybody``: clients may also connect with a token only."""
        for der in certificates:
            if der not in self._known:
                self._context.load_verify_locations(cadata=der)
                self._known.add(der)
        self._context.verify_mode = ssl.CERT_OPTIONAL if anybody else ssl.CERT_REQUIRED


class TlsChannel(asyncio.Protocol):
    """TLS between a plain transport and a receiver, server side."""

    __slots__ = (
        "_closing",
        "_context",
        "_failed",
        "_hello",
        "_incoming",
        "_open",
        "_outgoing",
        "_receiver",
        "_tls",
        "_transport",
    )

    _transport: asyncio.Transport
    _tls: ssl.SSLObject  # from the whole ClientHello on, until the connection is lost

    def __init__(self, context: ssl.SSLContext, receiver: Receiver, failed: Callable[[], None]) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._context = context
        self._hello: bytes | None = b""  # as much of it as has come; None from when it is whole
        self._receiver = receiver
        self._failed = failed
        self._open = False
        self._closing = False

    # From the plain transport -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there; the peer begins the handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass, but have its methods
        self._transport.set_write_buffer_limits(high=MAX_SEND_BUFFER_BYTES)
        self._receiver.attached(self)

    def data_received(self, data: bytes) -> None:
        """Encrypted bytes: decrypt them all, so that none stays buffered."""
        if self._hello is not None:
            data = self._hello = self._hello + data
            if not is_whole(data) or self._closing:
                return
            self._begin(data)
        start = 0
        while start < len(data) and not self._closing:
            end = start + (RECORD_BYTES if self._open else HANDSHAKE_FEED_BYTES)
            self._incoming.write(data[start:end])
            start = end
            try:
                self._decrypt()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self._peer_closed()
            except (ssl.SSLError, ssl.CertificateError):
                if not self._open:
                    self._failed()
                self._flush()  # the alert that says why
                self._transport.close()
                return
        self._flush()

    def eof_received(self) -> bool | None:
        """The peer closed the TCP connection."""
        return self._receiver.eof_received() if self._open else False

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        self._closing = True
        self._open = False
        self._receiver.connection_lost(exc)
        # Channel and receiver know each other, so that both stay until Python's next full collection, which thousands
        # of connections may not bring about: OpenSSL's 34 KB are freed now.
        if self._hello is None:
            del self._tls

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self._receiver.resume_writing()

    # From the receiver --------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self._closing or not self._open:
            return
        for start in range(0, len(data), RECORD_BYTES):
            self._tls.write(data[start : start + RECORD_BYTES])
            self._transport.write(self._outgoing.read())

    def close(self) -> None:
        """Send what is buffered and close_notify, then close."""
        if self._closing:
            return
        self._say_goodbye()
        self._transport.close()

    def write_eof(self) -> None:
        """Send close_notify and nothing more; what still comes is discarded."""
        self._say_goodbye()
        self._transport.write_eof()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Deliver no more data."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What asyncio's transports say of themselves: that this is TLS, and all that the plain one knows."""
        if name == "sslcontext" and not self._closing:
            return self._context
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver what comes to another protocol from now on."""
        self._receiver = cast("Receiver", protocol)

    def _begin(self, hello: bytes) -> None:
        self._hello = None
        chosen = self._context.context_for(hello) if isinstance(self._context, HubContext) else self._context
        self._tls = chosen.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _decrypt(self) -> None:
        if not self._open:
            self._shake_hands()
        while not self._closing:
            plain = self._tls.read(RECORD_BYTES)
            if not plain:
                self._peer_closed()
                return
            self._receiver.data_received(plain)

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._open = True
        self._flush()
        self._receiver.secured(self._tls.getpeercert(binary_form=True))

    def _say_goodbye(self) -> None:
        self._closing = True
        if self._open:
            with contextlib.suppress(ssl.SSLError):  # the peer's goodbye has not come: nobody waits for it
                self._tls.unwrap()
            self._flush()

    def _peer_closed(self) -> None:
        self._receiver.eof_received()
        self.close()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
