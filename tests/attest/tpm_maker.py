# SPDX-License-Identifier: Apache-2.0
"""A TPM maker and its TPMs in software: certificates as makers issue them, and TPM2_ActivateCredential."""

from __future__ import annotations

import datetime as dt
import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.wire.tpm_samples import certification, new_key, public_of

from armillary.attest.tpm_credential import Credential, kdfa, kdfe
from armillary.attest.tpm_endorsement import EK_CERTIFICATE, TPM_MANUFACTURER, TPM_MODEL
from armillary.attest.tpm_enrolment import CERTIFICATION_NONCE, UnverifiedTpmClaim
from armillary.wire.attestation.tpm_public import name_of
from armillary.wire.encoding import cose

NOW = 1_800_000_000


def moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Maker:
    """A root of a TPM maker; ``issue`` signs with it unless an intermediate is given."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    called: str = "TPM maker"
    now: int = NOW

    @property
    def root(self) -> x509.Certificate:
        return self.authority(self.key.public_key(), self.called)

    def authority(
        self, key: ec.EllipticCurvePublicKey, called: str, *, ca: bool = True, signs: bool = True
    ) -> x509.Certificate:
        usage = x509.KeyUsage(False, False, False, False, False, signs, True, False, False)
        builder = self._builder(key, called).add_extension(x509.BasicConstraints(ca, None), critical=True)
        return builder.add_extension(usage, critical=True).sign(self.key, hashes.SHA256())

    def endorse(
        self,
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        *,
        usage: x509.ObjectIdentifier = EK_CERTIFICATE,
        named: bool = True,
        ca: bool = False,
        not_before: int | None = None,
        not_after: int | None = None,
        extra: x509.UnrecognizedExtension | None = None,
    ) -> bytes:
        attributes = [x509.NameAttribute(TPM_MANUFACTURER, "id:41524D49"), x509.NameAttribute(TPM_MODEL, "soft")]
        directory = x509.Name(attributes) if named else name("no maker")
        builder = self._builder(key, "", not_before, not_after)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DirectoryName(directory)]), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _builder(
        self, key, called: str, not_before: int | None = None, not_after: int | None = None
    ) -> x509.CertificateBuilder:
        start, end = moment(not_before or self.now - 60), moment(not_after or self.now + 86400)
        builder = x509.CertificateBuilder().issuer_name(name(self.called)).public_key(key)
        builder = builder.subject_name(name(called) if called else x509.Name([])).serial_number(7)
        return builder.not_valid_before(start).not_valid_after(end)


@dataclass
class SoftTpm:
    """Keys of a TPM, and the one command that enrolment needs."""

    maker: Maker
    endorsement: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(default_factory=new_key)
    attestation: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    identity: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @property
    def attestation_area(self) -> bytes:
        return public_of(self.attestation, restricted=True)

    def claim(self, **changes: object) -> UnverifiedTpmClaim:
        identity = public_of(self.identity, restricted=False)
        values: dict[str, object] = {
            "endorsement_certificate": self.maker.endorse(self.endorsement.public_key()),
            "intermediates": (),
            "attestation_key": self.attestation_area,
            "identity_key": identity,
            "certification": certification(self.attestation, CERTIFICATION_NONCE, name_of(identity[2:])),
            **changes,
        }
        return UnverifiedTpmClaim(**values)  # type: ignore[arg-type]

    def activate(self, credential: Credential) -> bytes:
        """TPM2_ActivateCredential, written from Part 1 §24 independently of the code under test but for the KDFs."""
        loaded = name_of(self.attestation_area[2:])
        blob, secret = credential.blob[2:], credential.encrypted_seed[2:]
        mac, identity = blob[2:34], blob[34:]
        if isinstance(self.endorsement, rsa.RSAPrivateKey):
            seed = self.endorsement.decrypt(
                secret, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\0")
            )
        else:
            theirs = secret[2:34] + secret[36:68]
            shared = self.endorsement.exchange(ec.ECDH(), cose.public_key(theirs))
            seed = kdfe(shared, "IDENTITY", theirs[:32], cose.point_of(self.endorsement.public_key())[:32], 256)
        if mac != hmac.digest(kdfa(seed, "INTEGRITY", b"", b"", 256), identity + loaded, sha256):
            raise ValueError("integrity check failed")
        plain = Cipher(AES(kdfa(seed, "STORAGE", loaded, b"", 128)), CFB(bytes(16))).decryptor().update(identity)
        return plain[2 : 2 + int.from_bytes(plain[:2], "big")]


OTHER_USAGE = ExtendedKeyUsageOID.CLIENT_AUTH
