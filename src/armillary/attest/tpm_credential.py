# SPDX-License-Identifier: Apache-2.0
"""TPM2_MakeCredential in software: a secret that one TPM opens, and only for one key it holds.

The secret is encrypted to the endorsement key (EK), with the *name* of another key as an input: TPM2_ActivateCredential
gives the secret out only where the EK and an object of that name are loaded in one TPM. So who returns the secret has
shown that the named key lives in the TPM whose maker signed the EK.

Specification: TCG TPM 2.0 Library, Part 1, §24 (credential protection), §11.4.10 (KDFa, KDFe), annex B.10.4 (RSA OAEP)
and C.6.4 (ECDH) for the seed. SHA-256 names and AES-128-CFB, as the default EK templates L-1 and L-2 have them.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB  # what the TPM prescribes; the HMAC around it protects
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from armillary.errors import WireError
from armillary.wire.attestation.tpm_public import NAME_BYTES, PublicKey
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose

SECRET_BYTES: Final = 32  # most a TPM accepts for an EK with SHA-256 names
SEED_BYTES: Final = 32
_RSA_BITS: Final = 2048
_AES_BITS: Final = 128
_HASH_BITS: Final = 256
_BLOCK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Credential:
    """What TPM2_ActivateCredential takes.

    ``blob`` is a TPM2B_ID_OBJECT: HMAC and the encrypted secret; ``encrypted_seed`` a TPM2B_ENCRYPTED_SECRET: the seed
    of both keys, encrypted to the EK.
    """

    blob: bytes = field(repr=False)
    encrypted_seed: bytes = field(repr=False)


def make_credential(
    endorsement_key: PublicKey,
    name: bytes,
    secret: bytes,
    *,
    seed: bytes,
    ephemeral: ec.EllipticCurvePrivateKey,
) -> Credential:
    """Encrypt ``secret`` so that only the TPM of ``endorsement_key`` with the object ``name`` gives it out.

    Args:
        endorsement_key: RSA-2048 or P-256 public key from a checked EK certificate.
        name: Name of the key that is to be proven, 34 bytes.
        secret: At most 32 bytes.
        seed: 32 fresh random bytes, used with an RSA key (an EC key gets its seed by ECDH).
        ephemeral: A fresh P-256 key, used with an EC key.

    Raises:
        WireError: another kind of endorsement key.
        ValueError: an argument of the wrong size.
    """
    if len(name) != NAME_BYTES or not 0 < len(secret) <= SECRET_BYTES or len(seed) != SEED_BYTES:
        raise ValueError("credential: a name of 34 bytes, a secret of 1 to 32 and a seed of 32 are needed")
    if isinstance(endorsement_key, rsa.RSAPublicKey):
        if endorsement_key.key_size != _RSA_BITS:
            raise WireError("endorsement key", expected="RSA-2048 or P-256", got=f"RSA-{endorsement_key.key_size}")
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\0")
        encrypted_seed = endorsement_key.encrypt(seed, oaep)
    else:
        if endorsement_key.curve.name != ephemeral.curve.name:
            raise WireError("endorsement key", expected="RSA-2048 or P-256", got=endorsement_key.curve.name)
        shared_x = ephemeral.exchange(ec.ECDH(), endorsement_key)
        point, theirs = cose.point_of(ephemeral.public_key()), cose.point_of(endorsement_key)
        seed = kdfe(shared_x, "IDENTITY", point[:32], theirs[:32], _HASH_BITS)
        encrypted_seed = sized(point[:32]) + sized(point[32:])
    cipher = Cipher(AES(kdfa(seed, "STORAGE", name, b"", _AES_BITS)), CFB(bytes(_BLOCK_BYTES))).encryptor()
    identity = cipher.update(sized(secret)) + cipher.finalize()
    mac = hmac.digest(kdfa(seed, "INTEGRITY", b"", b"", _HASH_BITS), identity + name, sha256)
    return Credential(sized(sized(mac) + identity), sized(encrypted_seed))


def kdfa(key: bytes, label: str, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """KDFa with SHA-256 (SP 800-108 in counter mode), up to 256 bits."""
    head = (1).to_bytes(4, "big") + label.encode() + b"\0"
    return hmac.digest(key, head + context_u + context_v + bits.to_bytes(4, "big"), sha256)[: bits // 8]


def kdfe(shared_x: bytes, label: str, party_u: bytes, party_v: bytes, bits: int) -> bytes:
    """KDFe with SHA-256 (SP 800-56A), up to 256 bits."""
    return sha256((1).to_bytes(4, "big") + shared_x + label.encode() + b"\0" + party_u + party_v).digest()[: bits // 8]
