# SPDX-License-Identifier: Apache-2.0
"""The configuration that manufacture writes: the device's identity, whom it trusts, where it reports.

One flash region, ``device/configuration``, deterministic CBOR. Certificates are PEM text, as the factory API
gives them. Written by ``provision``, when the service has a new root (``device/checkin/renewal.py``), and when a trust
store is confirmed (``device/install/trust_stores.py``); read at every start.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import DataFolderError, WireError
from armillary.wire.encoding import cbor

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

REGION = "device/configuration"
_MAX_BYTES = 256 * 1024  # a dozen certificates of 2 KiB; far below the smallest flash
_VERSION = 1  # 1: 2026-11-24, first
_ACCEPTED = "accepted "  # mark of an accepted trust store among the installed ones; alone it says that they are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfiguration:
    """A device's configuration.

    Attributes:
        device_id: 128 lower-case hex digits.
        os_version: Version of the device OS whose boot components were installed.
        identity_certificate: PEM chain of the device identity certificate, leaf first.
        service_root: PEM of the roots, mostly one, that the device endpoint's certificate may come from.
        trusted_os_certificates: PEM; signers of boot components.
        trusted_image_certificates: PEM; signers of application packages.
        device_endpoint: ``https://host:port`` of the device endpoint.
        service_name: Audience of evidence.
        operator_api: ``https://host:port`` of the operator API that made the device; only ``recover`` uses it.
        trust_stores: Image ids of the trust stores that were installed and whose content this configuration has.
        accepted_stores: Image ids of those that the device took from its service and whose content it has not yet; no
            other one is obeyed. None: a version of before wrote it, which obeyed each that was rightly signed.
    """

    device_id: str
    chip: str
    root_of_trust: str
    sandbox: str
    os_version: str
    identity_certificate: tuple[str, ...]
    service_root: str
    trusted_os_certificates: tuple[str, ...]
    trusted_image_certificates: tuple[str, ...]
    device_endpoint: str
    service_name: str
    operator_api: str
    trust_stores: tuple[str, ...] = ()
    accepted_stores: tuple[str, ...] | None = ()

    @property
    def os_signers(self) -> tuple[Certificate, ...]:
        """Certificates whose keys may sign boot components."""
        return _certificates(self.trusted_os_certificates)

    @property
    def image_signers(self) -> tuple[Certificate, ...]:
        """Certificates whose keys may sign application packages."""
        return _certificates(self.trusted_image_certificates)


def store_configuration(flash: Flash, configuration: DeviceConfiguration) -> None:
    """Write the configuration, whole or not at all."""
    replace_region(flash, REGION, encode_configuration(configuration))


def load_configuration(flash: Flash) -> DeviceConfiguration:
    """Read the configuration.

    Raises:
        DataFolderError: there is none (the device was never manufactured, or its flash was lost), or it is damaged.
    """
    data = flash.read(REGION)
    if data is None:
        raise DataFolderError(
            "this device has no configuration: its manufacture was never finished",
            remedy="Make it again in an empty folder: armillary device create.",
        )
    try:
        return decode_configuration(data)
    except WireError as error:
        raise DataFolderError(
            f"the device's record ({REGION} in its flash) is damaged: {error.message}",
            remedy="Put that file back from a copy of the folder, or make the device anew in an empty folder: "
            "armillary device create.",
        ) from error


def encode_configuration(configuration: DeviceConfiguration) -> bytes:
    """The bytes of a configuration.

    Accepted trust stores are among the installed ones, marked: a version of before takes no field that it does not
    know, and may be the way back.
    """
    value = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(configuration).items()}
    accepted = value.pop("accepted_stores")
    if accepted is not None:
        value["trust_stores"] += [_ACCEPTED + each for each in (*accepted, "")]
    return cbor.encode({"version": _VERSION, **value})


def decode_configuration(data: bytes) -> DeviceConfiguration:
    """Read the bytes of a configuration; WireError or DataFolderError if they are none."""
    value: Any = cbor.decode(data, what="device configuration", limit=_MAX_BYTES)
    if not isinstance(value, dict) or value.pop("version", None) != _VERSION:
        raise DataFolderError(
            f"device configuration: expected version {_VERSION}",
            remedy="Use the Armillary version that made this device, or make a new one.",
        )
    try:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        stores = [str(each) for each in fields.get("trust_stores", ())]
        marked = [each.removeprefix(_ACCEPTED) for each in stores if each.startswith(_ACCEPTED)]
        fields["trust_stores"] = tuple(each for each in stores if not each.startswith(_ACCEPTED))
        fields["accepted_stores"] = tuple(filter(None, marked)) if marked else None
        return DeviceConfiguration(**fields)
    except TypeError as error:
        raise DataFolderError(
            f"device configuration: {error}", remedy="Use the Armillary version that made this device."
        ) from error


def _certificates(texts: tuple[str, ...]) -> tuple[Certificate, ...]:
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - a start reads other fields first

    return tuple(load_pem_x509_certificate(text.encode()) for text in texts)
