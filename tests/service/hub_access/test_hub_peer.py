# SPDX-License-Identifier: Apache-2.0
"""Which certificates open the hub: one that does, and every reason for one that does not."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import AppraisalError, RevokedDeviceError, UnknownDeviceError, WrongCatalogError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.certificates.certificate import DeviceCertificateTemplate
from armillary.wire.encoding import cose


def issue(host: ServiceHost, device: WireDevice, *, catalog: str = "Contoso", **changes: Any) -> bytes:
    """A certificate by the real issuing authority of a catalog, made past the records."""
    issuer = host.service.authority.catalogs.issuer(host.service.registry.catalogs.get(catalog).catalog_id)
    now = host.service.context.now()
    values = {
        "spki": cose.spki_from_point(cose.point_of(ec.generate_private_key(ec.SECP256R1()).public_key())),
        "device_id": device.device_id,
        "purpose": "client",
        "tier": "software",
        "serial": int.from_bytes(os.urandom(15), "big"),
        "not_before": now - 10,
        "not_after": now + 1000,
    }
    return issuer.template.issue(**{**values, **changes})


def test_the_certificate_of_a_check_in_opens_the_hub_for_its_life(host: ServiceHost, clock: Any) -> None:
    with host.claimed(b"a" * 32) as device:
        leaf = device.check_in().certificate_chain[0]
    authenticate = host.service.hub_access.authenticate
    assert authenticate(leaf) == device.device_id
    clock.now += 24 * 3600 + 1
    with pytest.raises(AppraisalError):
        authenticate(leaf)


def test_certificates_that_were_never_recorded_open_nothing(host: ServiceHost) -> None:
    device = host.claimed(b"b" * 32)
    with pytest.raises(AppraisalError, match="not on record"):
        host.service.hub_access.authenticate(issue(host, device))


def test_another_catalogs_authority_opens_nothing(host: ServiceHost) -> None:
    device = host.claimed(b"c" * 32)
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    with pytest.raises(WrongCatalogError):
        host.service.hub_access.authenticate(issue(host, device, catalog="Fabrikam"))


def test_a_lookalike_authority_opens_nothing(host: ServiceHost) -> None:
    device = host.claimed(b"d" * 32)
    ours = host.service.authority.catalogs.issuer(host.service.registry.catalogs.get("Contoso").catalog_id)
    lookalike = DeviceCertificateTemplate(
        x509.load_der_x509_certificate(ours.chain[0]), ec.generate_private_key(ec.SECP256R1())
    )
    now = host.service.context.now()
    spki = cose.spki_from_point(cose.point_of(ec.generate_private_key(ec.SECP256R1()).public_key()))
    forged = lookalike.issue(spki, device.device_id, "client", "silicon", 99, now - 10, now + 100)
    with pytest.raises(WrongCatalogError):
        host.service.hub_access.authenticate(forged)


def test_an_update_certificate_an_identity_and_garbage_open_nothing(host: ServiceHost) -> None:
    device = host.claimed(b"e" * 32)
    with pytest.raises(AppraisalError, match="purpose"):
        host.service.hub_access.authenticate(issue(host, device, purpose="update"))
    for der in (device.factory.certificate_chain[0], device.factory.service_root, b"", b"\x30\x00"):
        with pytest.raises(AppraisalError):
            host.service.hub_access.authenticate(der)


def test_unknown_and_revoked_devices_are_refused(host: ServiceHost) -> None:
    with host.claimed(b"f" * 32) as device:
        leaf = device.check_in().certificate_chain[0]
    host.service.registry.lifecycle.revoke(device.device_id, reason="", actor="t")
    with pytest.raises(RevokedDeviceError):
        host.service.hub_access.authenticate(leaf)
    stranger = cose.point_of(ec.generate_private_key(ec.SECP256R1()).public_key()).hex()
    with pytest.raises(UnknownDeviceError):
        host.service.hub_access.authenticate(issue(host, device, device_id=stranger))
