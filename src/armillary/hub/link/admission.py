# SPDX-License-Identifier: Apache-2.0
"""Identifies clients: the validity of a certificate is checked here, the rest by the security service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cryptography import x509

from armillary.errors import DeviceFault, DeviceStateError, NotLetInError, RateLimitedError, WireError
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.mqtt.packet import Connect

_log = structlog.get_logger(__name__)

# Says who a client is; raises DeviceFault or WireError for one that is not let in, RateLimitedError for not now.
Identify = Callable[[HubCredentials], HubPeer]


@dataclass(eq=False)
class Admission:
    """Identifies clients."""

    _identify: Identify  # Says who a client is; called in the hub's loop, so it must not block
    _clock: Callable[[], float]  # Unix time, seconds

    def identify(self, credentials: HubCredentials) -> HubPeer:
        """Who a client is, and when what it shows ends: certificate or token, whichever is first.

        Raises:
            WireError, DeviceStateError: its certificate is none, or not valid now.
            NotLetInError: which of all reasons it was is for the log.
            RateLimitedError: not now.
        """
        expires = self.check_certificate(credentials.certificate)
        try:
            peer = self._identify(credentials)
        except RateLimitedError:
            raise
        except (DeviceFault, WireError) as error:
            _log.info("hub.client-refused", client=credentials.client_id[:40], why=error.message)
            raise NotLetInError(
                "not let in: no such device, or what it showed is not its own, is over or is not admitted",
                remedy="Ask the operator: the service's log has the reason.",
            ) from error
        ends = [each for each in (expires, peer.expires) if each is not None]
        return HubPeer(peer.identity, min(ends, default=None), peer.catalog)

    def check_certificate(self, der: bytes | None) -> float | None:
        """When a client certificate ends, Unix seconds; None where there is none.

        Raises:
            WireError, DeviceStateError: it is none, or not valid now.
        """
        if der is None:
            return None
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError as error:  # OpenSSL is more lenient
            raise WireError("certificate", expected="DER as in RFC 5280", got=str(error)[:100]) from error
        expires = certificate.not_valid_after_utc.timestamp()
        if not certificate.not_valid_before_utc.timestamp() <= self._clock() < expires:
            raise DeviceStateError(
                "the client certificate is not valid now",
                remedy="Check in again: every check-in gives a new certificate.",
            )
        return expires


def credentials_of(packet: Connect, certificate: bytes | None) -> HubCredentials:
    """What a client shows: its certificate (DER) of TLS, and the client id and password of its CONNECT."""
    password = None if packet.password is None else packet.password.decode("utf-8", "replace")
    return HubCredentials(certificate, packet.client_id, password)
