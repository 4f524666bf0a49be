# SPDX-License-Identifier: Apache-2.0
"""Keys of secure boot as a maker has them: of any kind and size, and with any name and days."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.fixtures.certificates import private_pem

from armillary.device_image.keys import NAMES, KeyPair

BEGIN, END = (dt.datetime(year, 3, 1, tzinfo=dt.UTC) for year in (2026, 2036))
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """One key of that size for all tests; calculating it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def put_pair(folder: Path, name: str, key: Private, *, called: str = "Acme {} key 2026") -> KeyPair:
    """Write a key and its certificate, valid from ``BEGIN`` to ``END``."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called.format(name))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.pem")
    pair.key.write_bytes(private_pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    return pair


def put_pairs(folder: Path, bits: int = 2048, *, called: str = "Acme {} key 2026") -> dict[str, KeyPair]:
    """Write the keys of a maker, all of that size."""
    return {name: put_pair(folder, name, rsa_key(bits), called=called) for name in NAMES}
