# SPDX-License-Identifier: Apache-2.0
"""Trust stores on a device: which keys and roots are in force while a new one is on trial, and after it is confirmed.

A device trusts what its configuration says. A trusted key store or certificate store that is installed counts beside
the record that names it: with a trial that is taken back it goes too. Once it is confirmed its content becomes the
configuration's, so that the next store is signed by a key of this one.

Nothing guards the record, and the maker's older stores are rightly signed for good: who has the disk could bring back
a key that was taken out of service. So a store is obeyed only where the configuration, which the TPM guards on a device
image (``device/boot/trust_guard.py``), says that the device took it from its service. That is written before the record
that names the store. A device of before this was kept accepts what its record names at its first start with it.
It keeps that once this version is confirmed: where it is taken back, the one before, which knows nothing of it, may
still take a store.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_pem_x509_certificate, load_pem_x509_certificates

from armillary.device.state.configuration import DeviceConfiguration, load_configuration, store_configuration
from armillary.engines.flash.port import Flash
from armillary.errors import InstallError, WireError
from armillary.update.install.component import Kind
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.wire.image import package as image_package
from armillary.wire.image.section import TRUSTED_KEYSTORE
from armillary.wire.update.trust_store import (
    CertificateStore,
    KeyStore,
    parse_certificate_store,
    parse_key_store,
    trusted_digest,
)

MAX_TRUST_STORES = 8  # both kinds, with the ones before them


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Certificates whose keys may sign what a bundle brings."""

    os: Sequence[Certificate]
    images: Sequence[Certificate]


def configuration_in_force(
    flash: Flash, record: InstallRecord, configuration: DeviceConfiguration
) -> DeviceConfiguration:
    """The configuration with the OS version and the trust stores of the record.

    A store that the device did not accept, that flash does not hold whole, or that nobody trusted signed, counts for
    nothing: what it would replace stays in force.
    """
    if record.os.version:
        configuration = replace(configuration, os_version=record.os.version)
    signers = configuration.os_signers
    for image in record.active:
        if image.kind is not Kind.TRUST or not _is_waiting(image, configuration):
            continue
        try:
            store = _store(image, flash.read(image.region) or b"", signers)
        except InstallError:
            continue
        configuration = _with(configuration, store, image)
    return configuration


def keep_confirmed(flash: Flash, record: InstallRecord) -> None:
    """Make confirmed trust stores the configuration's; nothing while they are on trial."""
    if record.system_on_trial:
        return
    stored = load_configuration(flash)
    in_force = replace(configuration_in_force(flash, record, stored), os_version=stored.os_version)
    in_force = replace(in_force, accepted_stores=_waiting(record.active, in_force))
    if in_force != stored:
        store_configuration(flash, in_force)


def accept_stores(flash: Flash, record: InstallRecord, plan: InstallPlan) -> None:
    """Obey the trust stores that a plan brings from now on; call it before the record that names them is written."""
    brought = tuple(str(each.target.image_id) for each in plan.fetch if each.target.kind is Kind.TRUST)
    if not brought:
        return
    stored = load_configuration(flash)
    if stored.accepted_stores is not None:
        accepted = _waiting(record.active, stored) + brought
        store_configuration(flash, replace(stored, accepted_stores=accepted))


def adopt_stores(flash: Flash, record: InstallRecord, configuration: DeviceConfiguration) -> DeviceConfiguration:
    """The configuration; one of a version of before accepts what the record names.

    It is stored with that unless an OS or a store is on trial (:func:`keep_confirmed` does it then).
    """
    if configuration.accepted_stores is not None:
        return configuration
    stored = load_configuration(flash)
    if stored.accepted_stores is None:
        named = record.active if record.trial is None else record.active + record.trial.previous
        stored = replace(stored, accepted_stores=_waiting(named, stored))
        if not record.system_on_trial:
            store_configuration(flash, stored)
    return stored


def signers_after(plan: InstallPlan, packages: Mapping[UUID, bytes], present: Signers) -> Signers:
    """Who may sign what the plan's bundle has, once its trust stores are in force.

    InstallError if a store is not signed by a key that the device trusts now, or is damaged.
    """
    after = present
    for staged in plan.fetch:
        if staged.target.kind is Kind.TRUST:
            store = _store(staged.target, packages[staged.target.image_id], present.os)
            if isinstance(store, KeyStore):
                after = Signers(os=store.os_signers, images=store.image_signers)
    return after


def trusted(configuration: DeviceConfiguration) -> tuple[bytes, bytes]:
    """Digests of the keys and of the roots of the service that a configuration trusts, for the service's eyes."""
    return _trusted(
        configuration.trusted_os_certificates, configuration.trusted_image_certificates, configuration.service_root
    )


@functools.lru_cache(maxsize=1)
def _trusted(os_signers: Sequence[str], image_signers: Sequence[str], roots: str) -> tuple[bytes, bytes]:
    keys = KeyStore(os_signers=_loaded(os_signers), image_signers=_loaded(image_signers))
    return trusted_digest(keys), trusted_digest(CertificateStore(tuple(load_pem_x509_certificates(roots.encode()))))


def _is_waiting(image: SlotImage, configuration: DeviceConfiguration) -> bool:
    """Whether a trust store is accepted, and its content not yet the configuration's."""
    image_id, accepted = str(image.image_id), configuration.accepted_stores
    return image_id not in configuration.trust_stores and (accepted is None or image_id in accepted)


def _waiting(images: Iterable[SlotImage], configuration: DeviceConfiguration) -> tuple[str, ...]:
    stores = (image for image in images if image.kind is Kind.TRUST and _is_waiting(image, configuration))
    return tuple(dict.fromkeys(str(image.image_id) for image in stores))


def _loaded(texts: Sequence[str]) -> tuple[Certificate, ...]:
    return tuple(load_pem_x509_certificate(text.encode()) for text in texts)


def _store(image: SlotImage, data: bytes, signers: Sequence[Certificate]) -> KeyStore | CertificateStore:
    try:
        package = image_package.verify(image_package.parse(data), signers)
        store = (parse_key_store if image.image_type == TRUSTED_KEYSTORE else parse_certificate_store)(package.payload)
    except WireError as error:
        raise InstallError(
            f"{image.name} ({image.image_id}) is no trust store that this device takes: {error.message}",
            remedy="Sign it with a key that the device trusts already.",
        ) from error
    if (package.image_type, package.image_id) != (image.image_type, image.image_id):
        raise InstallError(
            f"{image.name}: expected image {image.image_id}, got {package.image_id}",
            remedy="Offer the image that was signed.",
        )
    return store


def _with(
    configuration: DeviceConfiguration, store: KeyStore | CertificateStore, image: SlotImage
) -> DeviceConfiguration:
    taken = (*configuration.trust_stores, str(image.image_id))[-MAX_TRUST_STORES:]
    if isinstance(store, CertificateStore):
        return replace(configuration, service_root="".join(_pem(store.roots)), trust_stores=taken)
    return replace(
        configuration,
        trusted_os_certificates=_pem(store.os_signers),
        trusted_image_certificates=_pem(store.image_signers),
        trust_stores=taken,
    )


def _pem(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    return tuple(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)
