# SPDX-License-Identifier: Apache-2.0
"""Which certificates open the hub: one that does, and every reason for one that does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import AppraisalError, DeviceFault, RevokedDeviceError, UnknownDeviceError, WrongCatalogError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.certificates.certificate import DeviceCertificateTemplate
from armillary.wire.encoding import cose


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(
    host: ServiceHost, device: WireDevice, *, catalog: str = "Contoso", lookalike: bool = False, **changes: Any
) -> bytes:
    """A certificate by the real issuing authority of a catalog, or one of its name, that is not in the records."""
    issuer = host.service.authority.catalogs.issuer(host.service.registry.catalogs.get(catalog).catalog_id)
    template = issuer.template
    if lookalike:
        template = DeviceCertificateTemplate(x509.load_der_x509_certificate(issuer.chain[0]), new_key())
    now = host.service.context.now()
    values = {
        "spki": cose.spki_from_point(cose.point_of(new_key().public_key())),
        "device_id": device.device_id,
        "purpose": "client",
        "tier": "software",
        "serial": int.from_bytes(os.urandom(15), "big"),
        "not_before": now - 10,
        "not_after": now + 1000,
    }
    return template.issue(**{**values, **changes})


def test_the_certificate_of_a_check_in_opens_the_hub_for_its_life(host: ServiceHost, clock: Any) -> None:
    with host.claimed(b"a" * 32) as device:
        leaf = device.check_in().certificate_chain[0]
    authenticate = host.service.hub_access.authenticate
    assert authenticate(leaf) == device.device_id
    clock.now += 24 * 3600 + 1
    with pytest.raises(AppraisalError):
        authenticate(leaf)
    clock.now -= 24 * 3600
    host.service.registry.lifecycle.revoke(device.device_id, reason="", actor="t")
    with pytest.raises(RevokedDeviceError):
        authenticate(leaf)


@pytest.mark.parametrize(
    ("forged", "error", "why"),
    [
        pytest.param(issue, AppraisalError, "not on record", id="never recorded"),
        pytest.param(lambda h, d: issue(h, d, catalog="Fabrikam"), WrongCatalogError, None, id="another catalog's"),
        pytest.param(
            lambda h, d: issue(h, d, lookalike=True), WrongCatalogError, None, id="an authority of the same name"
        ),
        pytest.param(lambda h, d: issue(h, d, purpose="update"), AppraisalError, "purpose", id="for updates only"),
        pytest.param(
            lambda h, d: issue(h, d, device_id=cose.point_of(new_key().public_key()).hex()),
            UnknownDeviceError,
            None,
            id="of an unknown device",
        ),
        pytest.param(lambda _, d: d.factory.certificate_chain[0], AppraisalError, None, id="an identity certificate"),
        pytest.param(lambda _, d: d.factory.service_root, AppraisalError, None, id="the root"),
        pytest.param(lambda *_: b"", AppraisalError, None, id="nothing"),
        pytest.param(lambda *_: b"\x30\x00", AppraisalError, None, id="no certificate"),
    ],
)
def test_other_certificates_open_nothing(
    host: ServiceHost, forged: Callable[[ServiceHost, WireDevice], bytes], error: type[DeviceFault], why: str | None
) -> None:
    host.catalog("Fabrikam")
    device = host.claimed(b"b" * 32)
    with pytest.raises(error, match=why):
        host.service.hub_access.authenticate(forged(host, device))
