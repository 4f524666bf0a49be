# SPDX-License-Identifier: Apache-2.0
"""Manufacture: a device proves its identity key with a certificate request and gets its certificates and first OS.

The device id is the key, so only the key and the signature of the request are read: names and extensions that it asks
for are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, RevokedDeviceError
from armillary.identity.device_id import device_id_bytes, device_id_of_key
from armillary.identity.issue import TRUST_TIERS
from armillary.identity.manufacturing import ManufacturingState, state_named
from armillary.service.authority.authority import Authority
from armillary.service.authority.signing_keys import IMAGES, OS
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context, DeviceAddress
from armillary.service.factory.flashed_systems import FlashedSystems
from armillary.service.factory.reply import FactoryReply
from armillary.service.repository.repository import Repository
from armillary.service.verifier.releases import Releases

MAX_REQUEST_BYTES = 8192  # a request for a P-256 key has about 500

# A key that lives in a file cannot be enrolled as hardware: this service has seen no TPM or silicon certificate.
ENROLLABLE_TIERS = ("simulated", "software")
TPM_TIER = "tpm"


@dataclass(frozen=True, slots=True)
class ProvenTpm:
    """A TPM that ``tpm_enrolment.py`` has verified; nothing else may make one.

    Keys are X || Y, 64 bytes: of the identity key that lives in the TPM, and of the key that quotes. The certificate is
    DER.
    """

    identity_key: bytes
    attestation_key: bytes
    endorsement_certificate: bytes
    manufacturer: str
    model: str


class Admission(Protocol):
    """A further check of a device in the transaction that records it; ``enrolments.py`` has one."""

    def admit(self, connection: Connection, known: device_rows.Enrolled | None) -> None:
        """Raise if the device may not be enrolled; ``known`` is None for a new one."""

    def settle(self, connection: Connection, device_id: str, number: int) -> Mapping[str, str]:
        """Complete the enrolment of the recorded device; raise to undo all. Returns details for the audit line."""


@dataclass(eq=False)
class Factory:
    """Enrols devices."""

    _context: Context
    _authority: Authority
    _releases: Releases
    _repository: Repository
    _chips: Chips
    _flashed: FlashedSystems
    _address: DeviceAddress

    def enrol(
        self,
        request_pem: str,
        chip: str,
        actor: str,
        *,
        trust_tier: str = "software",
        tpm: ProvenTpm | None = None,
        admission: Admission | None = None,
        manufacturing_state: str = ManufacturingState.DEVICE_COMPLETE.value,
        os_version: str | None = None,
        is_flashed: bool = False,
    ) -> FactoryReply:
        """Record a new device and give it its identity certificate, its trusted keystore and its first OS.

        A device that exists and proves its key again gets the same things (``armillary device recover``); nothing
        of its record changes: not its owner, not its tier, not its boot count. A decommissioned device comes back in
        this way and no other, while an operator allows it (``DeviceLifecycle.allow_reprovision``).

        ``request_pem`` is a PKCS#10 request signed by the device identity key. ``trust_tier`` is what the factory knows
        the root of trust to be, never the device's own word; with a proven ``tpm`` it is ``tpm``. ``admission`` is a
        further check, in the same transaction. ``manufacturing_state`` is a new device's, Azure Sphere's name; a
        ``Blank`` one may not check in. ``os_version`` is the release that is on its disk already, if not the newest;
        one that ``is_flashed`` has the payloads of its OS and gets what follows them.

        Raises:
            InvalidArgumentError: the request is malformed, not signed by its key, for another key than that of ``tpm``,
                or the key is not on P-256; or there is no such manufacturing state, or the tier needs a ``tpm``.
            NotFoundError: no such chip, or no release in force of this version.
            ConflictError: the device of this key was made with another chip; or ``tpm`` is given and it was made
                without a TPM, or with another attestation key.
            RevokedDeviceError: the device of this key was revoked, or decommissioned and may not come back.
        """
        trust_tier = _checked_tier(trust_tier) if tpm is None else TPM_TIER
        state = state_named(manufacturing_state)
        profile = self._chips.get(chip)
        device_id = device_id_of_key(_proven_key(request_pem))
        if tpm is not None and tpm.identity_key != device_id_bytes(device_id):
            raise InvalidArgumentError(
                "certificate request: expected one for the identity key that the TPM certified, got another key",
                remedy="Make the request with the key in the TPM: armillary device create does.",
            )
        release = self._releases.newest(chip, version=os_version)
        record, chain = self._authority.silicon.identity_certificate(profile.maker, device_id)

        def change(connection: Connection) -> None:
            now = self._context.now()
            known = device_rows.enrolled(connection, device_id)
            operation = "device.manufacture"
            if admission is not None:
                admission.admit(connection, known)
            if known is None:
                number = device_rows.enrol(
                    connection,
                    device_id=device_id,
                    chip=chip,
                    chip_sku=profile.sku,
                    trust_tier=trust_tier,
                    manufacturing_state=state.value,
                    now=now,
                )
                _keep_tpm(connection, number, tpm)
            else:
                number = known.number
                operation = _recovery(known, chip, now)
                _check_same_tpm(known, tpm)
                if operation == "device.reprovision":
                    device_rows.let_back_in(connection, device_id, now=now)
            self._authority.issued.record(connection, [record])
            tier = trust_tier if known is None else known.trust_tier
            detail = {"chip": chip, "trust_tier": tier, "os_version": release.version}
            if tpm is not None:
                detail["tpm"] = f"{tpm.manufacturer} {tpm.model}"
            if admission is not None:
                detail |= admission.settle(connection, device_id, number)
            self._context.audit(connection, actor, operation, device_id, detail)

        self._context.records.write(change)
        return self._reply(device_id, chain, release, is_flashed=is_flashed)

    def _reply(self, device_id: str, chain: tuple[bytes, ...], release: OsRelease, *, is_flashed: bool) -> FactoryReply:
        root = self._authority.roots.certificate
        return FactoryReply(
            device_id=device_id,
            certificate_chain=chain,
            service_root=root,
            further_roots=tuple(one.der for one in self._authority.roots.valid() if one.der != root),
            trusted_os_certificates=tuple(one.der for one in self._authority.signing.trusted(OS)),
            trusted_image_certificates=tuple(one.der for one in self._authority.signing.trusted(IMAGES)),
            os_version=release.version,
            boot_packages={} if is_flashed else self._releases.packages(release),
            boot_ends=self._flashed.ends(release) if is_flashed else {},
            endpoint=self._address.url,
            service_name=self._context.settings.public_host,
            repository_root=self._repository.root(),
            time=self._context.now(),
        )


def _checked_tier(trust_tier: str) -> str:
    if trust_tier not in ENROLLABLE_TIERS:
        raise InvalidArgumentError(
            f"trust tier: expected {', '.join(ENROLLABLE_TIERS)}, got {trust_tier!r:.40}",
            remedy=f"Tiers rise as {' < '.join(TRUST_TIERS)}; tpm and silicon need evidence of the hardware.",
        )
    return trust_tier


def _keep_tpm(connection: Connection, number: int, tpm: ProvenTpm | None) -> None:
    if tpm is not None:
        device_rows.keep_tpm_key(
            connection,
            number,
            attestation_key=tpm.attestation_key,
            endorsement_certificate=tpm.endorsement_certificate,
            manufacturer=tpm.manufacturer,
            model=tpm.model,
        )


def _recovery(known: device_rows.Enrolled, chip: str, now: int) -> str:
    """The audit log's word for enrolling a device that exists; raises for one that may not be enrolled again."""
    if known.chip != chip:
        raise ConflictError(
            f"device {known.device_id[:16]}... was made with chip {known.chip}, not {chip}",
            remedy="Name the device's own chip, or make a device with a new key.",
        )
    if not known.revoked:
        return "device.recover"
    if known.decommissioned_at is None:
        raise RevokedDeviceError(f"device {known.device_id[:16]}... was revoked")
    if known.reprovision_until is None or now >= known.reprovision_until:
        raise RevokedDeviceError(
            f"device {known.device_id[:16]}... was decommissioned",
            remedy="An operator has to allow its return first: armillary device allow-reprovision --device ID.",
        )
    return "device.reprovision"


def _check_same_tpm(known: device_rows.Enrolled, tpm: ProvenTpm | None) -> None:
    """Refuse to give a device another tier or another TPM by enrolling it again."""
    if tpm is not None and tpm.attestation_key != known.attestation_key:
        raise ConflictError(
            f"device {known.device_id[:16]}... was enrolled as tier {known.trust_tier} with another attestation key",
            remedy="Make a new device in this TPM: armillary device create --root-of-trust tpm2.",
        )


def _proven_key(request_pem: str) -> ec.EllipticCurvePublicKey:
    """The key of a request whose signature shows that its sender holds it."""
    remedy = "Make the request with the device identity key, on P-256: armillary device create does."
    if len(request_pem) > MAX_REQUEST_BYTES:
        raise InvalidArgumentError(
            f"certificate request: expected at most {MAX_REQUEST_BYTES} characters, got {len(request_pem)}",
            remedy=remedy,
        )
    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
        key = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InvalidArgumentError(
            f"certificate request: expected PKCS#10 in PEM, got {error}", remedy=remedy
        ) from error
    if not is_signed:
        raise InvalidArgumentError("certificate request: its own key did not sign it", remedy=remedy)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidArgumentError("certificate request: expected a key on P-256, got another", remedy=remedy)
    return key
