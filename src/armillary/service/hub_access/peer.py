# SPDX-License-Identifier: Apache-2.0
"""Authenticates devices that attest at the hub; every check is made here, whatever TLS has checked before.

(1) A device client certificate, valid now.  (2) Signed by an issuing authority of the catalog that owns the device.
(3) Purpose "client": an update certificate is refused.  (4) The device is known, claimed, not revoked, not held, not in
quarantine.
(5) The certificate was recorded since the device has its present owner: one that was never recorded was never given
out, whoever signed it, and one of an earlier owner is refused.
"""

from __future__ import annotations

import contextlib
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import check_ins as check_in_rows, devices as device_rows
from armillary.errors import (
    AppraisalError,
    DeviceFault,
    QuarantinedDeviceError,
    RevokedDeviceError,
    SignatureError,
    UnclaimedDeviceError,
    UnknownDeviceError,
    WireError,
    WrongCatalogError,
)
from armillary.service.authority.authority import Authority
from armillary.service.authority.issued import serial_text
from armillary.service.context.context import Context
from armillary.service.watch.heard_at_hub import HeardAtHub
from armillary.wire.certificates.certificate import (
    UnverifiedDeviceCertificate,
    parse_device_certificate,
    verify_issued_by,
)
from armillary.wire.hub.credentials import HubPeer


class HubPeers:
    """Authenticates client certificates."""

    def __init__(self, context: Context, authority: Authority, heard: HeardAtHub) -> None:
        self._context = context
        self._authority = authority
        self._heard = heard

    def authenticate(self, certificate_der: bytes) -> HubPeer:
        """The device of a client certificate; DeviceFault, whose leaf class says why, if it is refused."""
        try:
            claimed = parse_device_certificate(certificate_der)
        except WireError as error:
            raise AppraisalError(f"client certificate: {error.message}") from error
        device_id = claimed.device_id

        def query(connection: Connection) -> tuple[device_rows.Enrolled | None, bool]:
            serial = serial_text(claimed.serial)
            found = device_rows.enrolled(connection, device_id)
            known = found is not None and check_in_rows.has_certificate(
                connection, found.number, serial, since=found.claimed_at or 0
            )
            return found, known

        found, is_recorded = self._context.records.read(query)
        if found is None:  # (4)
            raise UnknownDeviceError(f"device {device_id[:16]}... was never manufactured here")
        if found.revoked:
            raise self._revoked(certificate_der, device_id, found.catalog_id)
        if found.catalog_id is None:
            raise UnclaimedDeviceError(f"device {device_id[:16]}... belongs to no catalog")
        if found.lineage.held_at is not None:
            raise AppraisalError(
                f"device {device_id[:16]}... is held: two machines seem to have its identity",
                remedy="Find out which is the original, then: armillary device release --device ID.",
            )
        if found.is_quarantined:
            raise QuarantinedDeviceError(f"device {device_id[:16]}... is in quarantine")
        verified = self._verified(certificate_der, found.catalog_id)
        if verified.purpose != "client":  # (3)
            raise AppraisalError(
                f"client certificate: expected purpose client, got {verified.purpose}",
                remedy="The device's boot is not trusted; look at its last check-in.",
            )
        if not is_recorded:  # (5)
            raise AppraisalError("client certificate: it is not on record", remedy="Check in again for a new one.")
        return HubPeer(device_id, catalog=str(found.catalog_id))

    def _revoked(self, der: bytes, device_id: str, catalog_id: UUID | None) -> RevokedDeviceError:
        """The error; noted for the watch where the certificate is the device's own: nobody accuses another device."""
        error = RevokedDeviceError(f"device {device_id[:16]}... was revoked")
        if catalog_id is not None:
            with contextlib.suppress(DeviceFault):
                self._verified(der, catalog_id)
                self._heard.refused(device_id, error)
        return error

    def _verified(self, der: bytes, catalog_id: UUID) -> UnverifiedDeviceCertificate:
        """(1) and (2)."""
        for issuer in self._authority.catalogs.issuing_certificates(catalog_id):
            try:
                return verify_issued_by(der, issuer, now=self._context.now())
            except SignatureError:
                continue
            except WireError as error:
                raise AppraisalError(f"client certificate: {error.message}") from error
        raise WrongCatalogError("client certificate: no authority of the device's catalog signed it")
