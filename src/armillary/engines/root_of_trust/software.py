# SPDX-License-Identifier: Apache-2.0
r"""Root of trust in two files, tier ``software``: a stand-in for fuses that does not claim to be hardware.

``uds`` (mode 0600)   ``ARMUDS1\n`` | UDS 32 bytes | first 8 bytes of SHA-256("armillary uds check" | UDS)
``boot-counter``      ``ARMBCT1\n`` | u64 big endian | first 8 bytes of SHA-256("armillary boot counter" | u64)

Both are written to a new file, synced, and moved into place, so a power cut leaves the old or the new one. A
damaged file, a file that others can read, or a counter that is missing beside an existing secret stops the
device: guessing would mean a new identity or a boot count that runs backwards, which the service rightly takes
for a cloned device.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import CertificateSigningRequestBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID

from armillary.engines.root_of_trust.port import BootSession
from armillary.engines.root_of_trust.private_file import explained, load_from_memory, read_private, replace_private
from armillary.errors import RootOfTrustError
from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key
from armillary.wire.attestation.event_log import BootEvent, log_head
from armillary.wire.attestation.evidence import Endorsement, Evidence, encode_endorsement, encode_evidence
from armillary.wire.encoding import cose

UDS_BYTES = 32  # TCG DICE: the unique device secret has the strength of the hash it goes through, SHA-256
_CHECK_BYTES = 8  # detects damage, not malice: whoever can write the file can also replace the secret
_UDS_MAGIC = b"ARMUDS1\n"
_COUNTER_MAGIC = b"ARMBCT1\n"
_RESTORE = "Restore the folder from a backup, or make a new device in another folder: armillary device create."


class SoftwareRootOfTrust:
    """The unique device secret in a file. Use :meth:`create` once, then :meth:`open`."""

    kind = "software"
    tier = "software"

    def __init__(self, folder: Path, uds: bytes, boot_count: int) -> None:
        self._folder = folder
        self._uds = uds
        self._boot_count = boot_count
        self._identity_key = dice.identity_key(uds)
        self._device_id = device_id_of_key(self._identity_key.public_key())

    def __repr__(self) -> str:
        return f"SoftwareRootOfTrust(device {self._device_id[:8]}, boot {self._boot_count})"

    @classmethod
    def create(cls, folder: Path, *, random: Callable[[int], bytes] = secrets.token_bytes) -> SoftwareRootOfTrust:
        """Make a new secret in ``folder``.

        Raises:
            RootOfTrustError: there is one already, or the folder cannot be written.
        """
        with explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / "uds").exists():
                raise RootOfTrustError(
                    f"{folder / 'uds'}: a device's secret is here already",
                    remedy="Choose another folder with --data: a device's identity is never overwritten.",
                )
            # The counter first: a secret without its counter would be refused, a counter alone is overwritten.
            replace_private(folder / "boot-counter", _encode_counter(0))
            uds = random(UDS_BYTES)
            replace_private(folder / "uds", _UDS_MAGIC + uds + _check(b"armillary uds check", uds))
        return cls(folder, uds, 0)

    @classmethod
    def open(cls, folder: Path) -> SoftwareRootOfTrust:
        """Read the secret and the counter of ``folder``.

        Raises:
            RootOfTrustError: one of them is missing, damaged, or readable by other users.
        """
        uds_file = _read_exact(folder / "uds", len(_UDS_MAGIC) + UDS_BYTES + _CHECK_BYTES)
        uds = uds_file[len(_UDS_MAGIC) : -_CHECK_BYTES]
        if not uds_file.startswith(_UDS_MAGIC) or uds_file[-_CHECK_BYTES:] != _check(b"armillary uds check", uds):
            raise RootOfTrustError(f"{folder / 'uds'}: the device's secret is damaged", remedy=_RESTORE)
        counter_file = _read_exact(folder / "boot-counter", len(_COUNTER_MAGIC) + 8 + _CHECK_BYTES)
        count = int.from_bytes(counter_file[len(_COUNTER_MAGIC) : -_CHECK_BYTES], "big")
        if counter_file != _encode_counter(count):
            raise RootOfTrustError(f"{folder / 'boot-counter'}: the boot counter is damaged", remedy=_RESTORE)
        return cls(folder, uds, count)

    @property
    def device_id(self) -> str:
        """The 128 lower-case hex digits of the device identity key's X||Y."""
        return self._device_id

    @property
    def boot_count(self) -> int:
        """Number of the last boot begun; 0 before the first."""
        return self._boot_count

    def certificate_request(self) -> bytes:
        """PKCS#10 request (PEM); the service takes only the key from it, the name is for people."""
        subject = Name([NameAttribute(NameOID.COMMON_NAME, self._device_id[:32])])
        request = CertificateSigningRequestBuilder().subject_name(subject).sign(self._identity_key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM)

    def begin_boot(self, events: Sequence[BootEvent]) -> BootSession:
        """Count this boot durably, then climb the ladder: one CDI per event, the alias key from the last.

        Raises:
            RootOfTrustError: the counter cannot be written; the boot must not go on.
        """
        count = self._boot_count + 1
        with explained(self._folder):
            replace_private(self._folder / "boot-counter", _encode_counter(count))
        self._boot_count = count
        secret = self._uds
        for event in events:
            secret = dice.derive_cdi(secret, measurement=event.digest, security_version=event.security_version)
        alias = dice.alias_key(secret)
        del secret
        head = log_head(events)
        alias_point = cose.point_of(alias.public_key())
        endorsement = Endorsement(device_id=self._device_id, alias_key=alias_point, log_head=head, boot_count=count)

        def prove(evidence: Evidence) -> bytes:
            return encode_evidence(evidence, alias)

        return BootSession(
            boot_count=count,
            log_head=head,
            alias_key=alias_point,
            endorsement=encode_endorsement(endorsement, self._identity_key),
            prove=prove,
        )

    def minimums(self) -> None:
        """Nothing is kept: its files are copied with the flash."""

    def keep_minimums(self, minimums: Mapping[int, int]) -> None:
        """Do nothing: its files are copied with the flash."""

    def authenticate(self, context: ssl.SSLContext, certificate_chain: bytes) -> None:
        """Make ``context`` present the identity certificate (PEM, leaf first) with the identity key.

        Raises:
            RootOfTrustError: the certificate is not for this device's identity key.
        """
        key = self._identity_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            load_from_memory(context, key + certificate_chain)
        except ssl.SSLError as error:
            raise RootOfTrustError(
                f"the identity certificate does not belong to device {self._device_id[:8]} ({error.reason})",
                remedy="Use the certificate the service issued for this device.",
            ) from error


def _check(purpose: bytes, value: bytes) -> bytes:
    return hashlib.sha256(purpose + value).digest()[:_CHECK_BYTES]


def _encode_counter(count: int) -> bytes:
    value = count.to_bytes(8, "big")
    return _COUNTER_MAGIC + value + _check(b"armillary boot counter", value)


def _read_exact(path: Path, size: int) -> bytes:
    data = read_private(path, size)
    if len(data) != size:
        raise RootOfTrustError(f"{path}: expected {size} bytes, got {len(data)}", remedy=_RESTORE)
    return data
