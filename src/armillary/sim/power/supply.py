# SPDX-License-Identifier: Apache-2.0
"""The software that simulated devices are offered: signed OS components, trust stores and applications.

Everything is built by the product's own packers and checked by its own verifiers; keys are made from fixed numbers, so
that the same chip has the same bytes in every run. Verdicts are remembered by the bytes that they are about: a campaign
boots the same components a hundred thousand times.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from armillary.boot import virtual_chain
from armillary.boot.profile import ChipProfile
from armillary.capability.grant import platform_limits
from armillary.device.boot.provision import FactoryReply
from armillary.device.state.configuration import DeviceConfiguration
from armillary.errors import ArmillaryError
from armillary.sim.power.known import Known
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image import application, package as image_package
from armillary.wire.image.application import OsRange
from armillary.wire.image.section import APPLICATIONS, TRUSTED_KEYSTORE
from armillary.wire.update.trust_store import KeyStore, encode_key_store

BUILT = 1_790_000_000  # Unix seconds
FIRST_OS = 1  # what manufacture installs
_DAYS = (1_700_000_000, 2_100_000_000)
_PROGRAM = b"#!/bin/sh\nexec sleep infinity\n"
SIGNER, FOREIGN, NEXT_SIGNER = 1, 2, 5  # numbers of keys; roots of the service have those between

_Made = TypeVar("_Made")

# What runs: (name of the boot component, OS version) or (number of the application, its version) of each part.
Contents = frozenset[tuple[str | int, int]]


@dataclass(frozen=True, slots=True)
class Genuine:
    """A package that the maker signed: which part it is, in which version, with which security version."""

    part: str | int  # boot component, or number of an application
    version: int
    security_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The complete set that is wanted on a device, as far as an offer says it.

    Attributes:
        os: OS version; 0 to say nothing about the OS.
        applications: Number of the application -> version.
        needs_abi: Lowest ABI of the OS that the applications work on; 0 for any.
        signer: Number of the key that signed the OS.
        signed: Whether the maker signed the applications.
        key_store: Whether there is a trusted key store with the maker's next key.
    """

    os: int = 0
    applications: Mapping[int, int] = field(default_factory=dict)
    needs_abi: int = 0
    signer: int = SIGNER
    signed: bool = True
    key_store: bool = False


class Supply:
    """Everything that is signed for one chip."""

    def __init__(self, profile: ChipProfile) -> None:
        self.profile = profile
        self.platform = platform_limits(profile)
        self.signer = _pair(SIGNER)[1]
        self.genuine: dict[bytes, Genuine] = {}  # by their bytes
        self.packages: dict[bytes, bytes] = {}  # by their SHA-256
        self.counter_checks = Known()  # whether older software could start, by which sets may run and what was reached
        self._kept: dict[object, Any] = {}

    def os_components(self, version: int, signer: int = SIGNER) -> Mapping[str, bytes]:
        """The boot components of an OS version by name."""
        return self._once(("os", version, signer), lambda: self._os_components(version, signer))

    def application(self, number: int, version: int, *, signed: bool = True, needs_abi: int = 0) -> OfferedImage:
        """An application; one that is not ``signed`` has the signature of a key that devices do not trust."""
        key = (number, version, signed, needs_abi)
        return self._once(key, lambda: self._application(*key))

    def offer(self, number: int, bundle: Bundle) -> Offer:
        """The offer of this number."""
        images = [
            self.application(each, version, signed=bundle.signed, needs_abi=bundle.needs_abi)
            for each, version in bundle.applications.items()
        ]
        if bundle.key_store:
            images.append(self._once("key store", self._key_store))
        if bundle.os:
            images += self.os_images(bundle.os, bundle.signer)
        return Offer(
            offer_id=UUID(int=number << 64),
            deployment_id=UUID(int=number),
            images=tuple(images),
            os_version=os_version(bundle.os) if bundle.os else "",
            os_abi=bundle.os,
        )

    def os_images(self, version: int, signer: int = SIGNER) -> list[OfferedImage]:
        """The components of an OS as an offer names them; its ABI has the same number."""
        built = self.os_components(version, signer)
        return [
            self._offered(each.component_id, each.image_type, each.name, built[each.name])
            for each in self.profile.boot_components
        ]

    def recovery(self, bundle: Bundle) -> FactoryReply:
        """What the factory gives to a device that is recovered by hand: the OS of a bundle, and who signed it."""
        made = self.configuration()
        return FactoryReply(
            device_id=made.device_id,
            identity_certificate=made.identity_certificate,
            service_root=made.service_root,
            trusted_os_certificates=_pem(_pair(bundle.signer)[1]),
            trusted_image_certificates=made.trusted_image_certificates,
            os_version=os_version(bundle.os),
            boot_components=tuple(self.os_components(bundle.os, bundle.signer).items()),
            device_endpoint=made.device_endpoint,
            service_name=made.service_name,
            repository_root=f"the root with which OS {bundle.os} came",
        )

    def configuration(self, *, root: int = 3) -> DeviceConfiguration:
        """What manufacture writes, or has become of it when the service's roots were renewed (another ``root``)."""
        pem = _pem(self.signer)
        return DeviceConfiguration(
            device_id="5a" * 64,
            chip=self.profile.name,
            root_of_trust="simulated",
            sandbox="process",
            os_version=os_version(FIRST_OS),
            identity_certificate=pem,
            service_root=_pem(_pair(root)[1])[0],
            trusted_os_certificates=pem,
            trusted_image_certificates=pem,
            device_endpoint="https://localhost:8444",
            service_name="power-cut",
            operator_api="https://localhost:8443",
        )

    def remembered(self, key: object, judge: Callable[[], _Made]) -> _Made:
        """What ``judge`` returned for this key, or the error that it raised."""
        kept = self._once(key, lambda: _verdict(judge))
        if isinstance(kept, ArmillaryError):
            raise kept
        verdict: _Made = kept
        return verdict

    def _once(self, key: object, make: Callable[[], _Made]) -> _Made:
        if key not in self._kept:
            self._kept[key] = make()
        made: _Made = self._kept[key]
        return made

    def _os_components(self, version: int, signer: int) -> Mapping[str, bytes]:
        key, certificate = _pair(signer)
        security = security_version(version)
        built = virtual_chain.build(
            self.profile, os_version(version), built=BUILT, security_version=security, key=key, certificate=certificate
        )
        if signer != FOREIGN:
            self._add((data, Genuine(name, version, security)) for name, data in built.items())
        return built

    def _application(self, number: int, version: int, signed: bool, needs_abi: int) -> OfferedImage:  # noqa: FBT001 - a key
        component_id = uuid5(NAMESPACE_OID, f"application {number}")
        manifest = {
            "SchemaVersion": 1,
            "Name": f"application-{number}",
            "ComponentId": str(component_id),
            "EntryPoint": "/bin/app",
            "CmdArgs": [str(version)],
            "Capabilities": {},
            "ApplicationType": "Default",
        }
        key, certificate = _pair(SIGNER if signed else FOREIGN)
        data = application.pack(
            {"app_manifest.json": json.dumps(manifest).encode(), "bin/app": _PROGRAM},
            image_id=uuid5(component_id, f"{version} {signed} {needs_abi}"),
            built=BUILT,
            key=key,
            certificate=certificate,
            os_range=OsRange(needs_abi) if needs_abi else None,
        )
        if signed:
            self._add([(data, Genuine(number, version, 0))])
        return self._offered(component_id, APPLICATIONS, f"application-{number}", data)

    def _key_store(self) -> OfferedImage:
        key, certificate = _pair(SIGNER)
        component_id = uuid5(NAMESPACE_OID, "key store")
        store = KeyStore(os_signers=(self.signer, _pair(NEXT_SIGNER)[1]), image_signers=(self.signer,))
        sections = image_package.standard_sections(
            image_type=TRUSTED_KEYSTORE,
            component_id=component_id,
            image_id=uuid5(component_id, "1"),
            name="trusted-key-store",
            built=BUILT,
        )
        data = image_package.build(encode_key_store(store), sections=sections, key=key, certificate=certificate)
        return self._offered(component_id, TRUSTED_KEYSTORE, "trusted-key-store", data)

    def _add(self, signed: Iterable[tuple[bytes, Genuine]]) -> None:
        self.genuine |= signed

    def _offered(self, component_id: UUID, image_type: int, name: str, data: bytes) -> OfferedImage:
        digest = hashlib.sha256(data).digest()
        self.packages[digest] = data
        return OfferedImage(
            component_id=component_id,
            image_id=image_package.parse(data).image_id,
            image_type=image_type,
            name=name,
            size=len(data),
            sha256=digest,
        )


def os_version(version: int) -> str:
    """The name of an OS version."""
    return f"1.{version}"


def security_version(version: int) -> int:
    """The security version of an OS version: every third one raises it."""
    return (version + 2) // 3


def older_os(version: int) -> int:
    """The newest OS version with a lower security version than that of ``version``."""
    return 3 * (security_version(version) - 1)


def _pem(certificate: x509.Certificate) -> tuple[str]:
    return (certificate.public_bytes(Encoding.PEM).decode("ascii"),)


def _verdict(judge: Callable[[], Any]) -> Any:
    try:
        return judge()
    except ArmillaryError as error:
        return error


@functools.cache
def _pair(number: int) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key made from a number, and its certificate; both the same in every run."""
    key = ec.derive_private_key(number, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"power-cut {number}")])
    first, last = (dt.datetime.fromtimestamp(day, dt.UTC) for day in _DAYS)
    builder = x509.CertificateBuilder(name, name, key.public_key(), number, first, last)
    return key, builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
