# SPDX-License-Identifier: Apache-2.0
"""Files by which Secure Boot's keys get into the firmware of a real machine that is in setup mode.

For each variable a signed one (``db.auth``, which firmware and efivarfs take) and the certificate alone (``db.cer``,
which firmware's own pages take). In this order: db, KEK, and PK last, which ends setup mode.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from armillary.device_image.keys import KeyPair
from armillary.device_image.tools import MADE_AT
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.secure_boot_variables import (
    ALLOWED,
    EXCHANGE_KEYS,
    PLATFORM_KEY,
    KeyVariable,
    encode_list,
    encode_signed,
    signed_content,
)
from armillary.wire.disk.gpt_writing import named_guid

FOLDER: Final = "secure-boot"
# Variable, the key that it gets, the key that signs it.
_VARIABLES: Final = (
    (ALLOWED, "signing", "exchange"),
    (EXCHANGE_KEYS, "exchange", "platform"),
    (PLATFORM_KEY, "platform", "platform"),
)
# All of them, by their path beside the image.
FILES: Final = tuple(f"{FOLDER}/{variable.name}.{end}" for variable, _, _ in _VARIABLES for end in ("cer", "auth"))
# The certificate of the key that signed the image, DER.
SIGNER: Final = f"{FOLDER}/{ALLOWED.name}.cer"
_OPTIONS: Final = (
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.NoAttributes,
)


def write_key_files(folder: Path, keys: Mapping[str, KeyPair]) -> None:
    """Write all of them; the same keys give the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = named_guid("secure boot")
    for variable, own, above in _VARIABLES:
        certificate = x509.load_pem_x509_certificate(keys[own].certificate.read_bytes())
        der = certificate.public_bytes(serialization.Encoding.DER)
        (folder / f"{variable.name}.cer").write_bytes(der)
        (folder / f"{variable.name}.auth").write_bytes(_signed(variable, encode_list(der, owner), keys[above]))


def _signed(variable: KeyVariable, content: bytes, key: KeyPair) -> bytes:
    time = dt.datetime.fromtimestamp(MADE_AT, dt.UTC)
    private = serialization.load_pem_private_key(key.key.read_bytes(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise InvalidArgumentError(f"{key.key.name}: expected an RSA key", remedy="Remove it: the build makes another.")
    signer = pkcs7.PKCS7SignatureBuilder().set_data(signed_content(variable, content, time))
    signer = signer.add_signer(x509.load_pem_x509_certificate(key.certificate.read_bytes()), private, hashes.SHA256())
    return encode_signed(content, time, signer.sign(serialization.Encoding.DER, _OPTIONS))
