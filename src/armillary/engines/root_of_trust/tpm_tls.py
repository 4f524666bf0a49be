# SPDX-License-Identifier: Apache-2.0
"""TLS with a private key that stays in the TPM: OpenSSL's provider ``tpm2`` (the Debian package tpm2-openssl).

Python's ``ssl`` takes keys from files only. The file it is given here is a *TSS2 PRIVATE KEY*: the key as its TPM
wrapped it, which the provider loads back into that TPM for every signature. No private key is ever in this process.

The provider is loaded into the ``libcrypto`` that ``ssl`` itself uses, once per process, and asked for nothing that
another provider can do: hashing, key exchange and the service's certificates stay OpenSSL's own.

Specification: "ASN.1 Specification for TPM 2.0 Key Files" (draft-bottomley-tpm2-keys); OSSL_PROVIDER_try_load(3).
"""

from __future__ import annotations

import base64
import ctypes
import os
import ssl
from pathlib import Path
from typing import Final

from armillary.engines.root_of_trust.private_file import load_from_memory
from armillary.engines.root_of_trust.tpm_commands import PACKAGES, Key
from armillary.errors import RootOfTrustError

_TYPE_LOADABLE: Final = bytes.fromhex("06066781050a0103")  # 2.23.133.10.1.3
_EMPTY_AUTHORISATION: Final = bytes.fromhex("a0030101ff")
_PARENT: Final = bytes.fromhex("020440000001")  # TPM_RH_OWNER: the storage primary key, made when it is needed
_LABEL: Final = "TSS2 PRIVATE KEY"

_loaded: dict[str, str] = {}  # what the provider of this process speaks to: one TPM


def key_file(key: Key) -> bytes:
    """PEM of a wrapped key, for OpenSSL with the provider."""
    body = _TYPE_LOADABLE + _EMPTY_AUTHORISATION + _PARENT + der(0x04, key.public) + der(0x04, key.private)
    text = base64.encodebytes(der(0x30, body)).decode("ascii")
    return f"-----BEGIN {_LABEL}-----\n{text}-----END {_LABEL}-----\n".encode("ascii")


def use_key(context: ssl.SSLContext, key: Key, certificate_chain: bytes, *, tcti: str) -> None:
    """Make ``context`` present ``certificate_chain`` (PEM, leaf first) with a key in the TPM.

    Raises:
        RootOfTrustError: the provider is missing, or the certificate is not for this key.
    """
    _load_provider(tcti)
    try:
        load_from_memory(context, key_file(key) + certificate_chain)
    except ssl.SSLError as error:
        raise RootOfTrustError(
            f"the TPM's key does not load, or the identity certificate is not for it ({error.reason or error})",
            remedy="Use the TPM this device was made with and the certificate the service issued for it.",
        ) from error


def _load_provider(tcti: str) -> None:
    if _loaded.setdefault("tcti", tcti) != tcti:
        raise RootOfTrustError(
            f"this process uses the TPM {_loaded['tcti']} already, it cannot use {tcti} too",
            remedy="Start one process per device.",
        )
    if "provider" in _loaded:
        return
    os.environ["TPM2OPENSSL_TCTI"] = tcti
    crypto = ctypes.CDLL(_libcrypto())
    load = crypto.OSSL_PROVIDER_try_load
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    prefer = crypto.EVP_set_default_properties
    prefer.restype, prefer.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
    # 1: keep OpenSSL's own provider as it would have been without this one.
    if not load(None, b"tpm2", 1) or prefer(None, b"?provider!=tpm2") != 1:
        del _loaded["tcti"]
        raise RootOfTrustError(
            "OpenSSL's provider tpm2 does not load: TLS with the TPM's identity key needs it",
            remedy=f"{PACKAGES}; then check: openssl list -providers -provider tpm2.",
        )
    _loaded["provider"] = "tpm2"


def _libcrypto() -> str:
    """Path of the libcrypto this process has loaded for ``ssl``."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.rpartition(" ")[2]
        if "/libcrypto.so" in path:
            return path
    raise RootOfTrustError(
        "this Python carries its own OpenSSL inside: the provider tpm2 cannot be loaded into it",
        remedy="Use the system's Python, which shares the system's OpenSSL.",
    )


def der(tag: int, content: bytes) -> bytes:
    """One DER element of at most 65,535 bytes."""
    size = len(content)
    if size < 0x80:
        head = bytes((tag, size))
    elif size < 0x100:
        head = bytes((tag, 0x81, size))
    else:
        head = bytes((tag, 0x82)) + size.to_bytes(2, "big")
    return head + content
