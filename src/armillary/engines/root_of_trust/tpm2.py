# SPDX-License-Identifier: Apache-2.0
"""Root of trust in a TPM 2.0: the identity key is made in it and never leaves it.

``tpm.json`` in the device's folder (mode 0600) names the TPM and the counter and holds both keys as the TPM wrapped
them; on another machine it is worthless.

- *Identity key*: P-256, signs TLS handshakes and one endorsement per boot. Its public key is the device id.
- *Attestation key*: P-256, restricted: it signs nothing but what the TPM itself made. Each proof carries its quote
  over the boot PCR, with the digest of the signed evidence as nonce: quote and evidence cannot be parted.
- *Boot PCR*: set to zeros and extended by the digest of every boot event when a boot begins, so that it holds exactly
  the head of the event log (``wire/attestation/event_log.py`` folds a log the way a PCR does).
- *Boot counter*: an NV counter. It never falls, whatever becomes of the device's files.
- *Anti-rollback minimums*: an NV index with a byte for each image type. A copy of old flash brings no old ones back.
- *Whom the device trusts*, on a device image: an NV index with a digest of its records (``boot/trust_guard.py``).
- *Alias key*: a fresh P-256 key in memory for each boot, endorsed by the identity key.

What it does not give: the TPM does not know who asks it. Whoever is root on the host can have things signed, and can
reset and extend the boot PCR; see ``docs/concepts/roots-of-trust.md``.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509 import CertificateSigningRequestBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID

from armillary.attest.tpm_enrolment import CERTIFICATION_NONCE, UnverifiedTpmClaim
from armillary.engines.root_of_trust import tpm_tls
from armillary.engines.root_of_trust.firmware import KERNEL_LOG, replaying_log
from armillary.engines.root_of_trust.port import BootSession
from armillary.engines.root_of_trust.private_file import explained, read_private, replace_private
from armillary.engines.root_of_trust.tpm_commands import Commands, Key, connect
from armillary.engines.root_of_trust.tpm_memory import bytes_of, is_counter_index, owner_of, trust_of
from armillary.engines.root_of_trust.tpm_trust import TpmTrust
from armillary.errors import InvalidArgumentError, RootOfTrustError, WireError
from armillary.wire.attestation.event_log import BootEvent, encode_event, log_head
from armillary.wire.attestation.evidence import Endorsement, Evidence, encode_endorsement, encode_evidence
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import BOOT_PCR, FIRMWARE_PCRS, encode_attestation, quote_nonce
from armillary.wire.attestation.tpm_public import ATTESTATION, IDENTITY, parse_public
from armillary.wire.attestation.tpm_structure import Reader
from armillary.wire.encoding import cose
from armillary.wire.image.section import IMAGE_TYPES

DEFAULT_TPM: Final = "device:/dev/tpmrm0"
# The loader of TCTIs opens libraries by name; these are the ones a TPM is reached through.
_TPM_SPEC: Final = re.compile(r"(device:/dev/[\w/]{1,64}|(swtpm|mssim|tabrmd):[\w.,=:/-]{0,128})")
_FILE: Final = "tpm.json"
_VERSION: Final = 1  # 1: 2026-11-24, first
_MINIMUMS_BYTES: Final = max(IMAGE_TYPES) + 1
_MAX_FILE_BYTES: Final = 8192  # two wrapped keys have about 1 KiB in hex
_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
_RESTORE: Final = "Restore the folder from a backup, or make a new device in another folder: armillary device create."


@dataclass(frozen=True, slots=True)
class _TpmFile:
    tcti: str
    counter: int
    has_minimums: bool  # False: made by a version that kept them in flash only
    identity: Key = field(repr=False)
    attestation: Key = field(repr=False)


class Tpm2RootOfTrust:
    """A device's keys in a TPM. Use :meth:`create` once, then :meth:`open`."""

    kind = "tpm2"
    tier = "tpm"

    def __init__(self, file: _TpmFile, boot_count: int) -> None:
        self._file = file
        self._boot_count = boot_count
        self._quoted: tuple[int, ...] = (BOOT_PCR,)
        # Where the log of the machine's firmware is; a TPM that is no device of this machine has seen no firmware.
        self.firmware_log: Path | None = KERNEL_LOG if file.tcti.startswith("device:") else None
        # Whom the device trusts. The file is not read for it again: a disk can give another device's the second time.
        self.trust = TpmTrust(file.tcti, file.counter)
        self._point = parse_public(file.identity.public, IDENTITY).point
        parse_public(file.attestation.public, ATTESTATION)

    def __repr__(self) -> str:
        return f"Tpm2RootOfTrust(device {self.device_id[:8]}, boot {self._boot_count}, {self._file.tcti})"

    @classmethod
    def create(cls, folder: Path, *, tpm: str | None = None) -> Tpm2RootOfTrust:
        """Make both keys and the counter in a TPM, by default the kernel's.

        Raises:
            InvalidArgumentError: ``tpm`` names no TPM.
            RootOfTrustError: there is a device already, or the TPM or its libraries fail.
        """
        if tpm is None:
            tpm = DEFAULT_TPM
        if not _TPM_SPEC.fullmatch(tpm):
            raise InvalidArgumentError(
                f"TPM: expected such as {DEFAULT_TPM} or swtpm:host=127.0.0.1,port=2321, got {tpm!r:.60}",
                remedy="Name the TPM with --tpm.",
            )
        path = folder / _FILE
        with explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                raise RootOfTrustError(
                    f"{path}: a device's keys are here already",
                    remedy="Choose another folder with --data: a device's identity is never overwritten.",
                )
        with connect(tpm) as commands:
            identity = commands.create_key(restricted=False)
            file = _TpmFile(
                tcti=tpm,
                identity=identity,
                attestation=commands.create_key(restricted=True),
                counter=commands.nv.define_counter(_owner(identity)),
                has_minimums=True,
            )
            commands.nv.define_bytes(bytes_of(file.counter), _MINIMUMS_BYTES)
            _forget_trust(commands, file.counter)  # of a device that is gone
        with explained(path):
            replace_private(path, _encode_file(file))
        return cls(file, 0)

    @classmethod
    def open(cls, folder: Path) -> Tpm2RootOfTrust:
        """Read the keys' file and the counter.

        Raises:
            RootOfTrustError: the file is missing, damaged or another device's; the TPM does not answer, or was cleared.
        """
        path = folder / _FILE
        file = _decode_file(path)
        with connect(file.tcti) as commands:
            if not commands.nv.exists(file.counter):
                raise RootOfTrustError(
                    f"TPM {file.tcti}: it has no boot counter of this device: it was cleared, or is another TPM",
                    remedy="Put the device's own TPM back, or enrol the machine again as a new device.",
                )
            _check_owner(commands, file, path)
            boot_count = commands.nv.counter(file.counter)
        if not file.has_minimums:
            file = replace(file, has_minimums=True)
            with explained(path):
                replace_private(path, _encode_file(file))
        return cls(file, boot_count)

    @property
    def device_id(self) -> str:
        """The 128 lower-case hex digits of the device identity key's X||Y."""
        return self._point.hex()

    @property
    def boot_count(self) -> int:
        """Number of the last boot begun; 0 before the first."""
        return self._boot_count

    def certificate_request(self) -> bytes:
        """PKCS#10 request (PEM), signed by the TPM.

        ``cryptography`` signs requests with its own keys only, so one is made for another key and its key and
        signature are exchanged.
        """
        other = ec.generate_private_key(ec.SECP256R1())
        subject = Name([NameAttribute(NameOID.COMMON_NAME, self.device_id[:32])])
        request = CertificateSigningRequestBuilder().subject_name(subject).sign(other, hashes.SHA256())
        spki = other.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        body = request.tbs_certrequest_bytes.replace(spki, cose.spki_from_point(self._point))
        signature = self._signer().sign(body, ec.ECDSA(hashes.SHA256()))
        der = tpm_tls.der(0x30, body + _ECDSA_WITH_SHA256 + tpm_tls.der(0x03, b"\0" + signature))
        return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode("ascii")

    def claim(self) -> UnverifiedTpmClaim:
        """The data for enrolment: the TPM maker's certificate, both keys, and the proof that they are in one TPM."""
        with connect(self._file.tcti) as commands:
            certificate = commands.endorsement_certificate()
            attest, signature = commands.certify(self._file.identity, self._file.attestation, CERTIFICATION_NONCE)
        return UnverifiedTpmClaim(
            endorsement_certificate=certificate,
            intermediates=(),
            attestation_key=self._file.attestation.public,
            identity_key=self._file.identity.public,
            certification=encode_attestation(attest, signature),
        )

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        """The secret of the service's credential; only this TPM can decrypt it, and only with its attestation key."""
        with connect(self._file.tcti) as commands:
            return commands.activate(self._file.attestation, blob, encrypted_seed)

    def give_up(self) -> None:
        """Delete what a device that the service did not enrol has in the TPM; its keys take no space there.

        What a device has that ever started stays: the files that say it was not enrolled are of a disk that anybody can
        have written.
        """
        indices = (self._file.counter, bytes_of(self._file.counter), trust_of(self._file.counter))
        with connect(self._file.tcti) as commands:
            if any(commands.nv.is_written(index) for index in indices):
                return
            for index in indices:
                if commands.nv.exists(index):
                    commands.nv.remove(index)

    def begin_boot(self, events: Sequence[BootEvent]) -> BootSession:
        """Count this boot in the TPM, measure the events into the boot PCR, endorse a fresh alias key.

        Raises:
            RootOfTrustError: the TPM fails; the boot must not go on.
        """
        alias = ec.generate_private_key(ec.SECP256R1())
        alias_point = cose.point_of(alias.public_key())
        head = log_head(events)
        with connect(self._file.tcti) as commands:
            self._boot_count = commands.nv.count(self._file.counter)
            commands.measure([sha256(encode_event(event)).digest() for event in events])
            firmware = self._firmware(commands)
        self._quoted = (BOOT_PCR,) if firmware is None else (*FIRMWARE_PCRS, BOOT_PCR)
        endorsement = Endorsement(
            device_id=self.device_id, alias_key=alias_point, log_head=head, boot_count=self._boot_count
        )

        def prove(evidence: Evidence) -> bytes:
            return encode_evidence(evidence, alias)

        return BootSession(
            boot_count=self._boot_count,
            log_head=head,
            alias_key=alias_point,
            endorsement=encode_endorsement(endorsement, self._signer()),
            prove=prove,
            quote=self._quote,
            firmware=firmware,
        )

    def minimums(self) -> Mapping[int, int] | None:
        """See ``port.RootOfTrust``; RootOfTrustError if the TPM no longer has them."""
        with connect(self._file.tcti) as commands:
            kept = commands.nv.stored(bytes_of(self._file.counter))
        return {kind: version for kind, version in enumerate(kept) if version} if kept else None

    def keep_minimums(self, minimums: Mapping[int, int]) -> None:
        """See ``port.RootOfTrust``."""
        index = bytes_of(self._file.counter)
        kept = bytes(minimums.get(kind, 0) for kind in range(_MINIMUMS_BYTES))
        with connect(self._file.tcti) as commands:
            if commands.nv.stored(index) != kept:  # its memory wears out
                commands.nv.store(index, kept)

    def authenticate(self, context: ssl.SSLContext, certificate_chain: bytes) -> None:
        """Make ``context`` present the identity certificate (PEM, leaf first); the TPM signs the handshakes.

        Raises:
            RootOfTrustError: OpenSSL's provider for the TPM is missing, or the certificate is for another key.
        """
        tpm_tls.use_key(context, self._file.identity, certificate_chain, tcti=self._file.tcti)

    def _quote(self, evidence: bytes) -> bytes:
        with connect(self._file.tcti) as commands:
            return encode_attestation(*commands.quote(self._file.attestation, quote_nonce(evidence), self._quoted))

    def _firmware(self, commands: Commands) -> FirmwareLog | None:
        """What the machine's firmware measured: its PCRs stay as they are while an operating system runs."""
        if self.firmware_log is None:
            return None
        values = commands.pcr_values(FIRMWARE_PCRS)
        return replaying_log(self.firmware_log, values) if len(values) == len(FIRMWARE_PCRS) else None

    def _signer(self) -> ec.EllipticCurvePrivateKey:
        # It has the one method that is called; cryptography's class cannot be derived from without all others.
        return cast("ec.EllipticCurvePrivateKey", _TpmSigner(self._file))


class _TpmSigner:
    """Signs as an ECDSA private key of ``cryptography`` does, by TPM2_Sign."""

    def __init__(self, file: _TpmFile) -> None:
        self._file = file

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """DER signature over the SHA-256 of ``data``."""
        del signature_algorithm  # ECDSA with SHA-256: the key in the TPM admits no other
        with connect(self._file.tcti) as commands:
            signature = Reader(commands.sign(self._file.identity, sha256(data).digest()), "TPM signature", limit=128)
        signature.take(4)  # ECDSA, SHA-256: fixed by the key
        r, s = (int.from_bytes(signature.sized(32), "big") for _ in range(2))
        return utils.encode_dss_signature(r, s)


def _owner(identity: Key) -> bytes:
    """Whose a counter is: an older device of the same TPM has lower minimums, and no file leads to them."""
    return sha256(identity.public).digest()


def _check_owner(commands: Commands, file: _TpmFile, path: Path) -> None:
    """Raise RootOfTrustError unless the index that a file names is the boot counter of the file's device.

    One that was made before owners were noted becomes that of the first device that opens it and has no other. From
    then on no file leads another one there, and its minimums, which older versions kept in flash only, are in the TPM
    for good.
    """
    nv, mine = commands.nv, _owner(file.identity)
    noted = nv.owner(file.counter)
    if noted is None or (noted or mine) != mine or (not noted and mine in nv.owners()):
        raise RootOfTrustError(
            f"{path}: expected this device's boot counter, got "
            f"{'an index that is none' if noted is None else 'that of another device'} of TPM {file.tcti}",
            remedy="The file was changed. " + _RESTORE,
        )
    if not noted:
        if not file.has_minimums and not nv.exists(bytes_of(file.counter)):
            nv.define_bytes(bytes_of(file.counter), _MINIMUMS_BYTES)
        nv.define_bytes(owner_of(file.counter), len(mine))
        nv.store(owner_of(file.counter), mine)


def _forget_trust(commands: Commands, counter: int) -> None:
    if commands.nv.exists(trust_of(counter)):
        commands.nv.remove(trust_of(counter))


def _encode_file(file: _TpmFile) -> bytes:
    keys = {"identity": file.identity, "attestation": file.attestation}
    document: dict[str, Any] = {"version": _VERSION, "tpm": file.tcti, "counter": file.counter}
    if file.has_minimums:
        document["minimums"] = True
    document.update({name: {"public": key.public.hex(), "private": key.private.hex()} for name, key in keys.items()})
    return json.dumps(document).encode()


def _decode_file(path: Path) -> _TpmFile:
    data = read_private(path, _MAX_FILE_BYTES)
    try:
        document = json.loads(data)
        identity, attestation = (
            Key(bytes.fromhex(document[name]["public"]), bytes.fromhex(document[name]["private"]))
            for name in ("identity", "attestation")
        )
        parse_public(identity.public, IDENTITY)
        parse_public(attestation.public, ATTESTATION)
        has_minimums = document.get("minimums") is True
        file = _TpmFile(str(document["tpm"]), int(document["counter"]), has_minimums, identity, attestation)
        is_ours = document["version"] == _VERSION and _TPM_SPEC.fullmatch(file.tcti) is not None
        is_ours = is_ours and is_counter_index(file.counter)
    except (ValueError, KeyError, TypeError, WireError) as error:
        raise RootOfTrustError(f"{path}: damaged ({type(error).__name__}: {error})", remedy=_RESTORE) from error
    if not is_ours:
        raise RootOfTrustError(
            f"{path}: damaged (another version, or it names no TPM or no boot counter)", remedy=_RESTORE
        )
    return file
