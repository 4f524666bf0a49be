# SPDX-License-Identifier: Apache-2.0
"""Payloads of trust stores: any bytes are a store that is written back the same, or a WireError."""

from __future__ import annotations

import warnings

from cryptography.utils import CryptographyDeprecationWarning
from tests.fixtures.images import P256, P384

from armillary.errors import WireError
from armillary.wire.update import trust_store as ts

KEYS = ts.KeyStore(os_signers=(P256[1], P384[1]), image_signers=(P384[1],))
ROOTS = ts.CertificateStore((P384[1],))


def seeds() -> list[bytes]:
    return [ts.encode_key_store(KEYS), ts.encode_certificate_store(ROOTS) + bytes(3)]


def fuzz(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of numbers that mutants have
        _fuzz(data)


def _fuzz(data: bytes) -> None:
    for parse, encode in (
        (ts.parse_key_store, ts.encode_key_store),
        (ts.parse_certificate_store, ts.encode_certificate_store),
    ):
        try:
            store = parse(data)
        except WireError:
            continue
        written = encode(store)
        assert data.startswith(written)
        assert not any(data[len(written) :])
