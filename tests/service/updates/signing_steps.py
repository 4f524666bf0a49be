# SPDX-License-Identifier: Apache-2.0
"""What the tests of signing keys and trust stores do with a service and a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509

from armillary.service.updates.trust_stores import StoreStanding, TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import Offer
from armillary.wire.device.update_status import OS, UpdateStatus
from armillary.wire.image import package as image_package
from armillary.wire.update.trust_store import (
    CertificateStore,
    KeyStore,
    parse_key_store,
    trusted_digest,
)

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


def loaded(ders: Any) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_der_x509_certificate(der) for der in ders)


def says(device: WireDevice, store: KeyStore | None = None, **more: Any) -> None:
    """Have a device say that it trusts the keys of a store; those that it was made with where none is given."""
    made = device.factory
    keys = store or KeyStore(
        os_signers=loaded(made.trusted_os_certificates), image_signers=loaded(made.trusted_image_certificates)
    )
    roots = CertificateStore(loaded([made.service_root, *made.further_roots]))
    device.update_status = UpdateStatus(
        abilities=(OS,), trusted_keys=trusted_digest(keys), trusted_roots=trusted_digest(roots), **more
    )


def fetched(device: WireDevice, offer: Offer | None) -> tuple[image_package.UnverifiedImagePackage, KeyStore]:
    """The trusted key store of an offer, as the device fetches it."""
    assert offer is not None
    store = next(image for image in offer.images if image.image_type == 19)
    package = image_package.parse(device.exchange("GET", f"/v1/images/{store.image_id}").body)
    return package, parse_key_store(package.payload)


def states(stores: TrustStores) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in stores.signing_keys():
        found.setdefault(key.purpose, []).append(key.state)
    return found


def key_store(stores: TrustStores) -> StoreStanding:
    """The newest trusted key store."""
    return [one for one in stores.stores() if one.store.kind == "keys"][-1]


def old_keys(stores: TrustStores) -> list[str]:
    return [key.serial for key in stores.signing_keys() if key.state == "old"]


def renewed(stores: TrustStores) -> None:
    stores.renew(actor="t")
    stores.put_in_force(actor="t", despite=True)


def release_everywhere(host: ServiceHost, version: str) -> None:
    for chip in host.service.chips.names:
        host.service.releases.publish(chip, version, actor="t")


def deployed(host: ServiceHost, package: Make) -> Any:
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    host.service.updates.deployments.create(*HERE, [image.image_id], actor="t")
    return image
